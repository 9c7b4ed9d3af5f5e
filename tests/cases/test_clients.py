"""Kind Q: clients of other servers, fields that mean what happens anyway, mistakes in fields, URLs and bodies, and ids
as a prompt. Each is tried on the real server, and an error is read as a person reads it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

import tokenizers

import tinylm
from tests.cases.clients import BODIES, COMPLETIONS, FINE, MEANT, REFUSED, SAME_TEXT, WRONG
from tests.serving import models
from tests.serving.server import BIAS, Reply, Server, read_until, until
from tinylm.cli.serve import as_curl

USUAL = {"max_tokens": 8, "seed": 7}
EOS_ALWAYS = {"2": 100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.characters(tmp_path_factory.mktemp("clients") / "characters")


@pytest.fixture(scope="module")
def lm(folder: Path) -> tinylm.LanguageModel:
    return tinylm.load(folder)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, "--max-tokens", 300) as server:
        yield server
        assert "Traceback" not in server.log


def text(server: Server, prompt: Any = "ab", **fields: Any) -> str:
    """The text of a request, which has to be answered."""
    written: str = server.complete(prompt, **{**USUAL, **fields})["choices"][0]["text"]
    return written


def refusal(server: Server, **fields: Any) -> dict[str, Any]:
    """The error of a request, which has to be one of the client's."""
    reply = server.ask(COMPLETIONS, server.fields(**{"prompt": "ab", **USUAL, **fields}))
    assert reply.status == 400, reply
    return reply.error


# ---- fields that ask for what happens anyway

@pytest.fixture(scope="module")
def plain(server: Server) -> str:
    return text(server)


@pytest.mark.parametrize("name", SAME_TEXT)
def test_fields_that_ask_for_what_happens_anyway_are_taken(server: Server, plain: str, name: str) -> None:
    assert text(server, **SAME_TEXT[name]) == plain


def test_every_optional_field_may_be_null(server: Server, plain: str) -> None:
    fields = server.ask("/openapi.json").json["components"]["schemas"]["CompletionRequest"]["properties"]
    nulls = dict.fromkeys(set(fields) - {"model", "prompt", "max_tokens", "seed"})
    assert len(nulls) > 80
    assert text(server, **nulls) == plain
    assert server.complete(None, **nulls)["choices"][0]["finish_reason"] in ("stop", "length")


# ---- fields that change the text are honoured, under whatever name


def test_a_seed_of_minus_one_is_another_each_time(server: Server) -> None:
    assert len({text(server, seed=-1, max_tokens=30) for _ in range(4)}) > 1


@pytest.mark.parametrize("fields", [{"max_tokens": -1}, {"max_tokens": None, "n_predict": -1}], ids=str)
def test_as_many_tokens_as_the_server_allows(server: Server, fields: dict[str, Any]) -> None:
    assert server.complete(logit_bias=BIAS, **fields)["usage"]["completion_tokens"] == 300


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_new_tokens", "n_predict", "num_predict"])
def test_other_names_of_max_tokens(server: Server, name: str) -> None:
    assert server.complete(logit_bias=BIAS, **{name: 3})["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("fields", [{"temperature": 0}, {"top_p": 0}, {"do_sample": False}, {"top_k": 1}], ids=str)
def test_ways_to_say_always_the_likeliest(server: Server, lm: tinylm.LanguageModel, fields: dict[str, Any]) -> None:
    assert text(server, **fields) == lm.generate("ab", max_tokens=8, greedy=True)


def test_other_names_of_penalties_stops_and_filters(server: Server, lm: tinylm.LanguageModel, plain: str) -> None:
    expected = lm.generate("ab", repetition_penalty=1.4, typical_p=0.6, **USUAL)
    assert text(server, repeat_penalty=1.4, typical=0.6) == text(server, rep_pen=1.4, typical_p=0.6) == expected
    assert text(server, stopping_strings=[plain[4]]) == text(server, stop_sequence=plain[4]) == plain[:4]
    assert text(server, stop=["", plain[4]]) == plain[:4]


def test_case_59_no_end_before_min_tokens(server: Server, lm: tinylm.LanguageModel) -> None:
    """With a bias that would end every text at once."""
    asked = {"max_tokens": 40, "logit_bias": EOS_ALWAYS}
    assert server.complete(**asked)["usage"]["completion_tokens"] == 1
    for least in (1, 2, 30):
        told = server.complete(**asked, min_tokens=least)
        assert told["usage"]["completion_tokens"] == least + 1
        assert told["choices"][0]["finish_reason"] == "stop"
    assert text(server, min_new_tokens=30, **asked) == lm.generate(
        "ab", **{**USUAL, "max_tokens": 40, "min_tokens": 30, "logit_bias": {"#2": 100}})
    assert server.complete(min_tokens=99, **asked)["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("name", ["ignore_eos", "ban_eos_token"])
def test_case_59_no_end_at_all(server: Server, name: str) -> None:
    asked = {"max_tokens": 40, "logit_bias": EOS_ALWAYS, name: True}
    assert server.complete(**asked)["usage"]["completion_tokens"] == 40
    assert server.stream(**asked, stream_options={"include_usage": True})[-1]["usage"]["completion_tokens"] == 40


# ---- fields that would change the text, and cannot

@pytest.mark.parametrize(("fields", "param", "said"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_would_change_the_text_is_refused_with_the_reason(server: Server, fields: dict[str, Any], param: str,
                                                               said: str) -> None:
    error = refusal(server, **fields)
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert said in error["message"]


# ---- the wrong type or value: the field and its entry, in words of JSON

PYTHON = ("None", "True", "False", "Input should", "dictionary", "valid ", "int_", "literal")
@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_field_down_to_its_entry(server: Server, name: str) -> None:
    fields, param, said = WRONG[name]
    error = refusal(server, **fields)
    assert error["param"] == param
    assert param in error["message"]
    assert said in error["message"]
    assert not [word for word in PYTHON if word in error["message"]]


def test_what_is_missing_is_named_with_where_to_find_it(server: Server) -> None:
    error = server.ask(COMPLETIONS, {"prompt": "a"}).error
    assert (error["param"], error["code"]) == ("model", "missing_required_parameter")
    assert "/v1/models" in error["message"]


# ---- the wrong URL


@pytest.mark.parametrize("host", ["host.docker.internal:8000", "my-laptop.local", "0.0.0.0:8000"])
def test_a_name_that_is_not_known_is_told_with_the_option_that_allows_it(server: Server, host: str) -> None:
    reply = server.ask("/v1/models", headers={"Host": host})
    assert reply.status == 421
    assert reply.error["message"].endswith(f"--allow-host {host}")



@pytest.mark.parametrize("path", MEANT, ids=lambda path: f"case_62 {path}")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_url_is_told_the_right_one(server: Server, path: str, method: str) -> None:
    reply = server.ask(path, {} if method == "POST" else None, method=method)
    assert reply.status == 404
    urls = {word.rstrip(",.") for word in reply.error["message"].split() if word.startswith("http://")}
    assert {f"{server.url}/v1", f"{server.url}{MEANT[path]}"} <= urls


@pytest.mark.parametrize(("method", "path", "right"), [
    ("GET", COMPLETIONS, "POST"), ("PUT", "/v1/next", "POST"), ("DELETE", "/v1/models/characters", "GET"),
    ("POST", "/v1/models", "GET"), ("OPTIONS", COMPLETIONS, "POST")])
def test_case_62_a_wrong_method_is_told_the_right_one(server: Server, method: str, path: str, right: str) -> None:
    reply = server.ask(path, method=method)
    assert reply.status == 405
    assert right in reply.headers["allow"]
    assert f"{path} is asked by {right}" in reply.error["message"]
    assert method in reply.error["message"]


def test_a_post_to_the_page_is_told_where_texts_are_written(server: Server) -> None:
    assert f"{server.url}{COMPLETIONS}" in server.ask("/", {}).error["message"]


def test_https_to_this_server_is_told_in_its_log(server: Server) -> None:
    """At once, and not after the seconds that a request may take to come."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64, 96))
    with server.open() as connection:
        connection.sendall(hello)
        assert b"http://" in read_until(connection, b"\0never")
    until(lambda: "https://" in server.log)


@pytest.mark.parametrize(("option", "value", "right"), [
    ("--allow-origin", "https://example.org/", "https://example.org"), ("--allow-origin", "example.org", "https://"),
    ("--allow-origin", "https://Example.org", "small letters"), ("--allow-origin", "*", "https://"),
    ("--allow-host", "http://models.lan", "NAME:PORT"), ("--allow-host", "models.lan/v1", "NAME:PORT")])
def test_names_that_could_never_fit_are_refused_when_it_starts(folder: Path, tinylm: Any, option: str, value: str,
                                                               right: str) -> None:
    said = tinylm("serve", folder, "--port", "0", option, value)
    assert said.code == 2
    assert option in said.err
    assert right in said.err


# ---- the wrong body

@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_json_is_told_its_likely_cause(server: Server, name: str) -> None:
    body, said = BODIES[name]
    reply = server.ask(COMPLETIONS, body)
    assert reply.status == 400
    assert said in reply.error["message"]


def test_a_body_with_a_byte_order_mark_is_read(server: Server) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(FINE).encode()
    assert server.ask(COMPLETIONS, body, headers={"Content-Type": "application/json; charset=UTF-8"}).status == 200


@pytest.mark.parametrize(("headers", "said"), [
    ({"Content-Type": "application/x-www-form-urlencoded"}, "unless told otherwise with -H"),
    ({"Content-Type": "multipart/form-data; boundary=x"}, "multipart/form-data"),
    ({"Content-Type": ""}, "no Content-Type"),
    ({"Content-Type": "text/plain"}, "text/plain"), ({"Content-Encoding": "gzip"}, "'gzip'")], ids=str)
def test_a_body_that_is_called_something_else_is_told_so(server: Server, headers: dict[str, str], said: str) -> None:
    reply = server.ask(COMPLETIONS, json.dumps(FINE).encode(), headers=headers)
    assert reply.status == 415
    assert said in reply.error["message"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.needs_posix
def test_the_command_that_serve_prints_works_as_typed(server: Server) -> None:
    printed = as_curl(f"{server.url}{COMPLETIONS}", "characters", False, windows=False)
    done = subprocess.run(["sh", "-c", f"{printed} --silent"], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["model"] == "characters"


@pytest.mark.parametrize("model", ["characters", "it's [v2]", 'a "book"', "日本 $HOME `ls`"])
def test_the_command_that_serve_prints_is_quoted_for_the_shell(model: str) -> None:
    words = shlex.split(as_curl("http://x/v1/completions", model, True, windows=False))
    assert json.loads(words[-1])["model"] == model
    line = as_curl("http://x/v1/completions", model, True, windows=True)
    assert line.startswith('curl.exe http://x/v1/completions -H "Content-Type: application/json" -H "Authorization: ')
    body = json.dumps({"model": model, "prompt": "", "max_tokens": 50}, ensure_ascii=False)
    assert line.endswith(" -d " + subprocess.list2cmdline([body]))


# ---- ids as a prompt


def remarks(reply: Reply) -> str:
    """What an answer says of its prompt."""
    assert reply.status == 200, reply
    return " ".join(reply.json.get("warnings", []))


def ids_of(folder: Path, lm: tinylm.LanguageModel, how: str) -> list[int]:
    if how == "tokenizers":
        library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids: list[int] = library.encode("ab").ids
        return ids
    return {"encode": lm.tokenizer.encode("ab"), "padded": [0, 0, *lm.tokenizer.encode("ab"), 0],
            "twice": [1, *lm.tokenizer.encode("ab")], "no bos": lm.tokenizer.encode("ab")[1:]}[how]


@pytest.mark.parametrize("how", ["encode", "tokenizers", "padded", "twice", "no bos"], ids=lambda how: f"case_63 {how}")
def test_ids_that_end_in_eos_are_gone_on_from_and_that_is_said(server: Server, folder: Path, lm: tinylm.LanguageModel,
                                                             plain: str, how: str) -> None:
    ids = ids_of(folder, lm, how)
    assert ids[-1] == 2 or how == "padded"
    reply = server.ask(COMPLETIONS, server.fields(ids, **USUAL))
    assert reply.json["choices"][0]["text"] == plain == lm.generate(ids, **USUAL)
    assert "ended in <eos>" in remarks(reply)
    assert ("<pad>" in remarks(reply), "more than once" in remarks(reply)) == (how == "padded", how == "twice")
    assert server.stream(ids, **USUAL)[0]["warnings"] == reply.json["warnings"]
    until(lambda: "tokens  warned  " in server.log)


def test_case_63_what_tokenize_prints_is_a_prompt(server: Server, folder: Path, plain: str, tinylm: Any) -> None:
    ids = tinylm("tokenize", folder, "ab", "--json").json["ids"]
    assert text(server, ids) == plain


def test_case_63_the_other_door_says_the_same(server: Server, lm: tinylm.LanguageModel) -> None:
    reply = server.ask("/v1/next", {"model": "characters", "prompt": lm.tokenizer.encode("ab")})
    assert "ended in <eos>" in remarks(reply)
    assert reply.json["ids"] == lm.tokenizer.encode_prompt("ab")


def test_ids_without_an_end_have_no_remark(server: Server, lm: tinylm.LanguageModel) -> None:
    for ids in (lm.tokenizer.encode_prompt("ab"), lm.tokenizer.encode_text("ab"), [1, 70, 2, 1, 20]):
        assert "warnings" not in server.complete(ids, **USUAL)


# ---- a whole client


def test_the_client_of_openai_shows_the_remark_and_the_field(server: Server, lm: tinylm.LanguageModel) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        told = client.completions.create(model="characters", prompt=lm.tokenizer.encode("ab"), max_tokens=2, n=2,
                                         best_of=2, suffix="", extra_body={"min_tokens": 1, "top_k": -1})
        assert "ended in <eos>" in told.model_extra["warnings"][0]
        with pytest.raises(openai.BadRequestError) as wrong:
            client.completions.create(model="characters", prompt=["a", 3])
        assert wrong.value.param == "prompt.1"
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client, \
            pytest.raises(openai.NotFoundError) as nothing:
        client.completions.create(model="characters", prompt="a")
    assert f"{server.url}/v1" in nothing.value.message
