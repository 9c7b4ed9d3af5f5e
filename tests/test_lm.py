"""The facade: what a person holds in a notebook."""

import json
import math
import shutil
import subprocess
import sys

import pytest
import torch

import tinylm
from tinylm.errors import TinyLMError


@pytest.fixture(scope="module")
def lm(hello_run):
    return tinylm.load(hello_run)


@pytest.fixture(scope="module")
def book_lm(book_run):
    return tinylm.load(book_run)


def test_the_notebook_model_predicts_and_writes_its_sentences(lm):
    best = lm.predict("hello , how are")[0]
    assert best.token == "you"
    assert best.id == lm.tokenizer.encode_text("you")[0]
    assert best.probability > 0.9
    for opening, rest in (("hello , how are", "you ?"), ("hello , how is", "your day ?"), ("how are", "you ?"),
                          ("how is", "your day ?")):
        completion = lm.complete(opening, greedy=True)
        assert (completion.text, completion.stopped_by) == (rest, "eos")
        assert lm.generate(opening, greedy=True) == "".join(lm.stream(opening, greedy=True)) == rest


def test_predictions_are_the_softmax_of_the_model_itself(book_lm):
    with torch.no_grad():
        logits = book_lm.model(torch.tensor([book_lm.tokenizer.encode_prompt("The ")]))[0, -1]
    expected = logits.softmax(-1)
    for prediction in book_lm.predict("The ", top=1000):
        assert prediction.probability == pytest.approx(expected[prediction.id].item(), abs=1e-5)
        assert prediction.token == book_lm.tokenizer.token(prediction.id)
    assert sum(p.probability for p in book_lm.predict("The ", top=1000)) == pytest.approx(1, abs=1e-4)


def test_a_seed_repeats_a_text_and_no_seed_varies_it(book_lm):
    settings = {"max_tokens": 40, "temperature": 1.0}
    assert book_lm.generate("The ", seed=5, **settings) == book_lm.generate("The ", seed=5, **settings)
    assert len({book_lm.generate("The ", **settings) for _ in range(4)}) > 1
    completion = book_lm.complete("The ", **settings)
    assert book_lm.generate("The ", seed=completion.seed, **settings) == completion.text


def test_a_text_longer_than_the_context_goes_on_and_says_what_it_forgot(book_lm):
    completion = book_lm.complete("x" * 50, max_tokens=60, seed=0)
    assert len(completion.ids) == 60
    assert completion.n_dropped > 0
    assert book_lm.complete("x", max_tokens=5, seed=0).n_dropped == 0


def test_a_stop_text_ends_the_text_before_it(book_lm):
    free = book_lm.generate("The ", max_tokens=40, seed=1)
    stop = free[10:13]
    completion = book_lm.complete("The ", max_tokens=40, seed=1, stop=(stop,))
    assert completion.text == free[:free.index(stop)]
    assert completion.stopped_by == "stop"


def test_an_empty_prompt_begins_a_text(lm):
    assert lm.generate("", greedy=True).split()[0] in ("hello", "how")


def test_unknown_words_and_settings_are_told_apart_from_our_mistakes(lm):
    with pytest.raises(TinyLMError, match=r"'Ben' \(word 5"):
        lm.generate("Hi my name is Ben")
    with pytest.raises(TinyLMError, match="temperature"):
        lm.generate("how", temprature=1)
    with pytest.raises(TinyLMError):
        lm.predict("how", top=0)


def test_evaluation_of_the_validation_text_is_what_training_reported(book_run, book_lm):
    report = book_lm.evaluate()
    lines = [json.loads(line) for line in (book_run / "metrics.jsonl").read_text().splitlines()]
    assert report.split == "validation"
    assert report.loss == pytest.approx(lines[-1]["best_loss"], abs=1e-4)
    assert report.perplexity == pytest.approx(math.exp(report.loss))
    assert report.bits_per_byte == pytest.approx(report.loss * report.tokens / math.log(2) / report.bytes)
    assert set(report.baselines) == {"uniform", "unigram", "ngram", "zstd"}


def test_the_loss_is_torchs_own_cross_entropy(lm):
    """Each of the four sentences by itself, as the notebook would compute it, padding left out."""
    total, count = 0.0, 0
    for sentence in ("hello , how are you ?", "hello , how is your day ?", "how are you ?", "how is your day ?"):
        ids = torch.tensor([lm.tokenizer.encode(sentence)])
        with torch.no_grad():
            total += torch.nn.functional.cross_entropy(lm.model(ids[:, :-1])[0], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    report = lm.evaluate()
    assert report.split == "train"
    assert report.tokens == count
    assert report.loss == pytest.approx(total / count, abs=1e-5)


def test_another_text_can_be_judged(book_lm, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("The other text is short. " * 20)
    report = book_lm.evaluate(path)
    assert report.split == "other.txt"
    assert report.bytes == 500


def test_evaluation_tells_what_the_model_copies(lm, book_run):
    copying = lm.evaluate().copying
    assert copying.unit == "words"
    assert 4 <= copying.longest <= 7, "the notebook's model writes its own sentences"
    assert copying.where.file == "hello"
    assert copying.where.line in (1, 2, 3, 4)
    assert copying.run in copying.where.text
    assert tinylm.load(book_run).evaluate().to_dict()["copying"]["windows"] > 0


def test_a_copy_is_found_in_the_training_text_alone(book_lm, book):
    lines = book.read_text().splitlines()
    number = next(i for i in range(200, len(lines)) if len(lines[i].split()) > 8)
    copied = book_lm.copied(f"so to say, {lines[number]}")
    assert copied.longest >= len(lines[number].split())
    assert copied.where.line <= number + 1
    assert copied.run.endswith(lines[number].split()[-1])
    held_out = " ".join(book.read_text()[-3000:].split())
    assert book_lm.copied(held_out).share < 0.5


def test_what_is_copied_from_a_text_that_has_moved_is_not_known(book, tmp_path):
    copy = tmp_path / "book.txt"
    shutil.copy(book, copy)
    tinylm.train(copy, size="0.1M", tokenizer="char", steps=1, out=tmp_path / "run", quiet=True,
                 config={"model": {"context_length": 16}})
    copy.unlink()
    lm = tinylm.load(tmp_path / "run")
    assert lm.evaluate(book).copying is None
    with pytest.raises(TinyLMError):
        lm.copied("a text")


def test_a_training_text_that_changed_is_not_judged_as_if_it_had_not(book, tmp_path):
    copy = tmp_path / "book.txt"
    shutil.copy(book, copy)
    lm = tinylm.train(copy, size="0.1M", tokenizer="char", steps=1, out=tmp_path / "run", quiet=True,
                      config={"model": {"context_length": 16}})
    copy.write_text(copy.read_text() + " ")
    with pytest.raises(TinyLMError, match="has changed"):
        lm.evaluate()
    copy.unlink()
    with pytest.raises(TinyLMError):
        lm.evaluate()


def test_trace_gives_every_activation_by_name(lm):
    activations = lm.trace("how are you")
    assert activations["layers.1.attn.pattern"].shape == (1, 2, 4, 4)
    assert activations["logits"].shape == (1, 4, 12)


def test_save_and_load_is_the_same_model(book_lm, tmp_path):
    book_lm_copy = tinylm.load(book_lm.folder)
    folder = book_lm_copy.save(tmp_path / "copy")
    again = tinylm.load(folder)
    for (name, a), (_, b) in zip(book_lm.model.named_parameters(), again.model.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert again.config == book_lm.config
    assert again.tokenizer.to_json() == book_lm.tokenizer.to_json()
    assert (folder / "metrics.jsonl").read_bytes() == (book_lm.folder / "metrics.jsonl").read_bytes()
    with pytest.raises(TinyLMError, match="--force"):
        again.save(folder)
    again.save(folder, force=True)


def test_importing_tinylm_imports_nothing_heavy():
    code = "import sys, tinylm; assert not {'torch', 'numpy', 'pydantic', 'tokenizers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in tinylm.__all__:
        assert getattr(tinylm, name).__name__.split(".")[-1] == name
    assert not hasattr(tinylm, "nothing_of_this_name")
