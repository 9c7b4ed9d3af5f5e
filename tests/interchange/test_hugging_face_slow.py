"""The export to Hugging Face in an older transformers, and with every character there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from tests.chat.conversations import random_conversations
from tests.interchange.chat_models import chat_model
from tests.interchange.shapes import TEXTS, make_model, make_tokenizer, reference
from tests.interchange.strings import SCALARS, digest, strings, strings_of_scalars
from tests.interchange.test_architectures import HELD
from tinylm.chat.encode import encode_conversation
from tinylm.interchange.hugging_face.config import CLASSES
from tinylm.interchange.hugging_face.export import write
from tinylm.interchange.hugging_face.tokenizer import write_tokenizer
from tinylm.text.tokenizer import Tokenizer

pytestmark = pytest.mark.slow
OLDER = ["transformers==4.57.6", "tokenizers==0.22.*", "huggingface_hub==0.36.*"]
SCRIPT = Path(__file__).with_name("older_transformers.py")
CHATS = ("turns", "smollm2", "llama2")
EXPORTED = [name for name, (architecture, _) in HELD.items() if architecture.islower()]


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """A folder with the older packages, to stand on the path before the others."""
    folder = tmp_path_factory.mktemp("older")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *OLDER],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no registry of packages to install {OLDER[0]} from: {done.stderr.strip()[-200:]}")
    return folder


def export_all(models: Path, tokenizers: Path) -> tuple[dict, dict]:
    made, known = {}, {}
    for n, shape in enumerate(EXPORTED):
        model, folder = make_model(shape, list(TEXTS)[n % 3]), models / str(n)
        folder.mkdir(parents=True)
        write(model, folder, "f32")
        ids = (3 * model.tokenizer.encode_prompt(TEXTS[model.tokenizer.kind]))[:96]
        prompts = [ids[n:2 * n + 8] for n in range(1, 21)]
        (folder / "ids.json").write_text(json.dumps(prompts))
        made[str(n)] = (shape, model, prompts)
    for kind in TEXTS:
        folder = tokenizers / kind
        folder.mkdir(parents=True)
        known[kind] = make_tokenizer(kind)
        write_tokenizer(known[kind], 96, folder)
        (folder / "strings.json").write_text(json.dumps(strings(known[kind], 10_000)))
        if kind != "char":
            (folder / "scalars.json").write_text(json.dumps(strings_of_scalars()))
    return made, known


def export_chats(tokenizers: Path) -> dict[str, list[list[int]]]:
    """The ids of conversations, by the name of the format."""
    found = {}
    for name in CHATS:
        folder, model = tokenizers / name, chat_model(name)
        folder.mkdir()
        write_tokenizer(model.tokenizer, 96, folder, model.chat_template)
        conversations = random_conversations(200)
        (folder / "strings.json").write_text(json.dumps(["hello"]))
        (folder / "conversations.json").write_text(json.dumps([[message._asdict() for message in each]
                                                               for each in conversations]))
        found[name] = [encode_conversation(each, model.chat_format, model.tokenizer).ids for each in conversations]
    return found


def test_an_older_transformers_computes_writes_and_reads_the_same(older, tmp_path):
    models, tokenizers = tmp_path / "models", tmp_path / "tokenizers"
    made, known = export_all(models, tokenizers)
    chats = export_chats(tokenizers)
    path = os.pathsep.join([str(older), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, SCRIPT, models, tokenizers], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["version"] == "4.57.6"
    for name, (shape, model, prompts) in made.items():
        told = found["models"][name]
        assert told["class"] == CLASSES[HELD[shape][0]]
        assert not told["problems"]
        assert np.abs(np.array(told["logits"]) - reference(model, prompts[0])).max() <= 1e-5, shape
        for prompt, written in zip(prompts, told["written"], strict=True):
            assert len(written) == len(prompt) + 64
            assert written[len(prompt):] == reference(model, written)[len(prompt) - 1:-1].argmax(-1).tolist(), shape
    for kind, tokenizer in known.items():
        ids = [tokenizer.encode_prompt(text) for text in strings(tokenizer, 10_000)]
        scalars = [] if kind == "char" else [tokenizer.encode_prompt(text) for text in strings_of_scalars()]
        told = found["tokenizers"][kind]
        assert told["scalars"] == digest(scalars)
        assert told["ids"] == ids
        assert told["texts"] == list(map(tokenizer.decode, ids))
        assert told["inputs"] == ["attention_mask", "input_ids"]
    assert {name: found["tokenizers"][name]["conversations"] for name in chats} == chats


@pytest.mark.parametrize("kind", list(TEXTS))
def test_every_character_there_is(kind, tmp_path):
    """All Unicode scalars, each between two others; the alphabet of characters holds them all."""
    tokenizer = Tokenizer.train("char", ["".join(SCALARS)]) if kind == "char" else make_tokenizer(kind)
    write_tokenizer(tokenizer, 96, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for start in range(0, len(SCALARS), 20_000):
        texts = [f"a{scalar} {scalar}b" for scalar in SCALARS[start:start + 20_000]]
        expected = [[tokenizer.bos_id, *ids] for ids in tokenizer.encode_batch(texts)]
        assert theirs(texts)["input_ids"] == expected


@pytest.mark.parametrize("kind", list(TEXTS))
def test_ten_thousand_strings(kind, tmp_path):
    tokenizer = make_tokenizer(kind)
    write_tokenizer(tokenizer, 96, tmp_path)
    known = strings(tokenizer, 10_000, seed=1)
    assert AutoTokenizer.from_pretrained(tmp_path)(known)["input_ids"] == [
        tokenizer.encode_prompt(text) for text in known]
