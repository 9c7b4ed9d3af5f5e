"""The code of llama-server on an exported file: the same greedy text as tinylm's, by completion and by chat."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interchange.shapes import greedy, make_model
from tinylm.config.schema import SampleConfig
from tinylm.interchange.gguf.export import MODEL, write
from tinylm.interchange.gguf.llama_cpp import is_installed
from tinylm.interchange.source import ExportedModel

pytestmark = pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")

PROMPTS = {"char": ["the cat ", "wörld", "漢字\n"], "bpe": ["hello again", "it's <eos>", "<bos>1234"],
           "word": ["how are you", "hello ,\nhow", " well  and "]}
N_TOKENS = 24


def served(path: Path, requests: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    script = Path(__file__).with_name("llama_server.py")
    done = subprocess.run([sys.executable, str(script), str(path)], input=json.dumps(requests).encode(),
                          capture_output=True, timeout=300, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def greedy_text(model: ExportedModel, prompt: str) -> str:
    """The greedy continuation of the torch module, as it stands in a text."""
    ids = model.tokenizer.encode_prompt(prompt)
    text = model.tokenizer.decode(greedy(model, ids, N_TOKENS, model.tokenizer.eos_id))
    return f" {text}" if model.tokenizer.kind == "word" else text


def readable(text: str) -> str:
    """The text without the marks of broken characters: programs count them each in their own way."""
    return text.replace("\ufffd", "")


@pytest.mark.parametrize("kind", PROMPTS)
def test_completion_and_chat_write_the_greedy_text(kind: str, tmp_path: Path) -> None:
    model = make_model("default", kind)
    write(model, tmp_path, "f32")
    common = {"max_tokens": N_TOKENS, "temperature": 0}
    requests = [request for prompt in PROMPTS[kind] for request in (
        ("completion", {"prompt": prompt, **common}),
        ("chat", {"messages": [{"role": "user", "content": prompt}], **common}))]
    answers = served(tmp_path / MODEL, requests)
    for prompt, completion, chat in zip(PROMPTS[kind], answers[::2], answers[1::2], strict=True):
        expected = readable(greedy_text(model, prompt))
        assert readable(completion["choices"][0]["text"]) == expected
        n_prompt = len(model.tokenizer.encode_prompt(prompt))
        assert completion["usage"]["prompt_tokens"] == n_prompt
        assert readable(chat["choices"][0]["message"]["content"]) == expected
        assert chat["usage"]["prompt_tokens"] == n_prompt


def test_the_file_carries_the_sampling_settings_of_the_run(tmp_path: Path) -> None:
    """llama-server takes them where a request says nothing."""
    model = make_model("default")
    greedy = model.config.model_copy(update={"sample": SampleConfig(greedy=True)})
    write(replace(model, config=greedy), tmp_path, "f32")
    answers = served(tmp_path / MODEL, [("completion", {"prompt": "the cat ", "max_tokens": N_TOKENS})] * 3)
    assert [answer["choices"][0]["text"] for answer in answers] == [greedy_text(model, "the cat ")] * 3


def test_a_text_ends_with_the_context(tmp_path: Path) -> None:
    model = make_model("default", context_length=40)
    write(model, tmp_path, "f32")
    [answer] = served(tmp_path / MODEL, [("completion", {
        "prompt": "the cat ", "temperature": 0, "max_tokens": 500, "ignore_eos": True})])
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] <= 41
