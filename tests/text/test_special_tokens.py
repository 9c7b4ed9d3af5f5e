"""Vocabularies whose special tokens stand elsewhere: from the file to a trained model that writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch

import tinylm
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.model.transformer import TinyLM
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.prompts import prompt_ids
from tinylm.text.reading.built_in import HELLO
from tinylm.text.rows import IGNORE, Rows
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.split import split_corpus
from tinylm.text.tokenizer import Tokenizer
from tinylm.training.controller import ScheduleController
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import StepHorizon

KINDS = ("word", "char", "bpe")
MARKS = ("<|user|>", "<|model|>")


def moved(kind: str, *, bos: bool, control: tuple[str, ...] = ()) -> Tokenizer:
    """A tokenizer of the four sentences with <eos> at 5, <pad> last, and <bos>, if any, at 2."""
    plain = json.loads(Tokenizer.train(kind, HELLO, unknown_token=False).to_json())["model"]
    entries = [entry for entry in plain["vocab"] if entry not in ("<pad>", "<bos>", "<eos>")]
    if bos:
        entries.insert(2, "<bos>")
    entries.insert(5, "<eos>")
    vocab = {entry: id for id, entry in enumerate([*entries, *control, "<pad>"])}
    return Tokenizer(kind, vocab, [tuple(pair) for pair in plain.get("merges", ())], control)  # type: ignore[arg-type]


@pytest.fixture(params=[(kind, bos) for kind in KINDS for bos in (True, False)],
                ids=lambda case: f"{case[0]}, {'with' if case[1] else 'without'} <bos>")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    kind, bos = request.param
    return moved(kind, bos=bos)


def test_the_file_and_the_text_go_round(tokenizer: Tokenizer, tmp_path: Path) -> None:
    specials = tokenizer.specials
    has_bos = specials.bos is not None
    assert specials == SpecialTokens(pad=tokenizer.vocab_size - 1, bos=2 if has_bos else None, eos=5)
    assert specials.start == (2 if has_bos else 5)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (again.specials, again.to_json(), again.kind) == (specials, tokenizer.to_json(), tokenizer.kind)
    for text in HELLO:
        ids = again.encode(text)
        assert ids == tokenizers.Tokenizer.from_str(again.to_json()).encode(text).ids
        assert ids == [*([2] if has_bos else []), *again.encode_text(text), 5]
        assert not specials.hidden & set(again.encode_text(text))
        assert again.decode(ids) == text
        assert again.encode_prompt(text) == [specials.start, *again.encode_text(text)]
    assert [again.token_bytes(id) for id in specials.hidden] == [b""] * len(specials.hidden)


def test_what_is_unknown_is_unknown_wherever_pad_stands() -> None:
    for kind, text in (("char", "hello ß"), ("word", "hello Welt")):
        with pytest.raises(TinyLMError, match="not in the"):
            moved(kind, bos=False).encode(text)
    assert len(moved("char", bos=False).encode_known("hello ß")) == len("hello ")
    words = moved("word", bos=False)
    assert words.encode_text("hello , how")[0] == 0  # an id that is <pad> elsewhere


def test_prompts_given_as_ids(tokenizer: Tokenizer) -> None:
    start, eos, pad = tokenizer.specials.start, tokenizer.specials.eos, tokenizer.specials.pad
    text = tokenizer.encode_text("how are")
    found = prompt_ids(tokenizer, [pad, start, start, *text, eos, pad])
    assert found.ids == found.given == [start, *text]
    assert len(found.left_out) == 3
    assert prompt_ids(tokenizer, text).ids == [start, *text]


def test_rows_begin_and_are_padded_with_the_ids_of_their_vocabulary(tokenizer: Tokenizer, tmp_path: Path) -> None:
    part = build_dataset(split_corpus(open_corpus("hello"), 0), tokenizer, cache_dir=tmp_path).train
    again = build_dataset(split_corpus(open_corpus("hello"), 0), tokenizer, cache_dir=tmp_path).train
    assert part.specials == again.specials == tokenizer.specials
    inputs, targets = Rows(part, packing="padded", context_length=64).batch(0, 4)
    assert set(inputs[:, 0]) == {tokenizer.specials.start}
    assert set(inputs[targets == IGNORE]) <= {tokenizer.specials.pad}
    for row in targets:
        assert row[row != IGNORE][-1] == tokenizer.specials.eos
        assert tokenizer.decode(row[row != IGNORE]) in HELLO
    packed, _ = Rows(part, packing="packed", context_length=200).batch(0, 1)
    assert (packed == tokenizer.specials.start).sum() >= len(HELLO)


@pytest.mark.parametrize("bos", [True, False], ids=["with <bos>", "without <bos>"])
def test_a_model_learns_and_writes_with_them(bos: bool, tmp_path: Path) -> None:
    tokenizer = moved("word", bos=bos)
    part = build_dataset(split_corpus(open_corpus("hello"), 0), tokenizer, cache_dir=tmp_path).train
    shape = ModelConfig(vocab_size=tokenizer.vocab_size, context_length=16, d_model=32, n_layers=1, n_heads=2)
    train = TrainConfig(steps=80, batch_size=4, warmup_steps=5)
    model = TinyLM(shape, 0)
    rows = Rows(part, packing="padded", context_length=16)
    controller = ScheduleController(train, StepHorizon(80))
    for _ in Training(model, make_optimizers(model, train), rows, train, controller).events():
        pass
    run = RunConfig(model=shape, data=DataConfig(packing="padded"), train=train)
    tinylm.LanguageModel(run, tokenizer, model.eval()).save(tmp_path / "model")
    lm = tinylm.load(tmp_path / "model")
    assert lm.served_by == "engine"
    assert lm.generate("how are", greedy=True) == "you ?"
    written = lm.complete("how are", greedy=True)
    assert (written.ids[-1], written.stopped_by) == (5, "eos")
    assert lm.complete("", seed=1, temperature=0.1).text in HELLO
    longer = lm.complete("how are", greedy=True, min_tokens=9, max_tokens=9)
    assert len(longer.ids) == 9
    assert 5 not in longer.ids
    with torch.no_grad():
        logits = lm.model(torch.tensor([tokenizer.encode_prompt("how are")]))[0, -1]
    assert lm.predict("how are", top=1)[0].id == int(logits.argmax())


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_control_tokens_are_no_text(kind: str) -> None:
    tokenizer = moved(kind, bos=True, control=MARKS)
    again = Tokenizer.from_json(tokenizer.to_json())
    marks = sorted(again.specials.control)
    assert again.specials == tokenizer.specials
    assert again.tokens(marks) == list(MARKS)
    assert again.decode([marks[0], *again.encode_text("hello"), marks[1]]) == "hello"
    assert again.decode(marks, specials=True) == "".join(MARKS)
    if kind == "bpe":  # a mark that is typed is text
        assert again.decode(again.encode_text(MARKS[0])) == MARKS[0]
        assert not set(marks) & set(again.encode_text(MARKS[0]))


@pytest.mark.parametrize("change", ["no <pad>", "no <eos>", "no mark", "words"])
def test_files_without_what_must_be_there_are_refused(change: str) -> None:
    data = json.loads(moved("word" if change == "words" else "bpe", bos=True,
                            control=() if change == "words" else MARKS).to_json())
    vocab = data["model"]["vocab"]
    if change == "words":
        data["post_processor"]["special_tokens"]["how"] = {"id": "how", "ids": [vocab["how"]], "tokens": ["how"]}
    else:
        gone = MARKS[0] if change == "no mark" else change[3:]
        data["model"]["vocab"] = {("!?" if entry == gone else entry): id for entry, id in vocab.items()}
    with pytest.raises(TinyLMError, match="is not a tokenizer that tinylm wrote"):
        Tokenizer.from_json(json.dumps(data))


def test_ids_of_numpy_are_hidden_too() -> None:
    tokenizer = moved("char", bos=True)
    assert tokenizer.decode(np.array(tokenizer.encode("hello"))) == "hello"
