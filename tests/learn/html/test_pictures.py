"""Pictures of the lesson: well-formed, each with its point in words, and with the model's own numbers in them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tinylm
from tinylm.errors import TinyLMError
from tinylm.inspection.one_step import training_step
from tinylm.learn.html.illustrations import PICTURES
from tinylm.learn.html.picture import Picture
from tinylm.learn.html.pictures import attention, counting, one_weight, past, run, tokens, writing
from tinylm.learn.html.snapshots import take_snapshots
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import WIDTH
from tinylm.learn.pages import PAGES

HOSTILE = '<b>&"\x00'
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+")


@pytest.fixture(scope="module")
def hello(hello_run: Path) -> Subject:
    text = "hello , how are"
    return Subject("hello", tinylm.load(hello_run), text, take_snapshots("hello", text, epochs=9))


@pytest.fixture(scope="module")
def animals(animals_run: Path) -> Subject:
    return Subject("animals", tinylm.load(animals_run), "the cat says")


@pytest.fixture(scope="module")
def drawn(hello: Subject) -> list[Picture]:
    return [draw(hello) for page in sorted(PICTURES) for draw in PICTURES[page]]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter("text")]


def test_every_page_has_a_picture() -> None:
    assert sorted(PICTURES) == [page.number for page in PAGES]


def test_pictures_are_well_formed_and_say_their_point(drawn: list[Picture]) -> None:
    for picture in drawn:
        figure = ElementTree.fromstring(picture.html())
        assert len(picture.frames) > 1 or not picture.slider
        svgs = list(figure.iter("svg"))
        assert len(svgs) == len(picture.frames) + bool(picture.map)
        assert all(len(svg.attrib["aria-label"]) > 15 for svg in svgs)
        shown = [frame for frame in figure.iter("div") if "hidden" not in frame.attrib]
        assert len(shown) == 1
        for svg in svgs:
            width, height = map(float, svg.attrib["viewBox"].split()[2:])
            assert width == WIDTH
            for each in svg.iter("rect"):
                x, y, wide, high = (float(each.attrib[name]) for name in ("x", "y", "width", "height"))
                assert -1 <= x <= x + wide <= width + 1
                assert -1 <= y <= y + high <= height + 1


def test_hidden_frames_can_be_read_by_their_html(drawn: list[Picture]) -> None:
    for picture in drawn:
        cells = ElementTree.fromstring(picture.html()).findall(".//g[@data-frame]")
        assert {int(cell.attrib["data-frame"]) for cell in cells} <= set(range(len(picture.frames)))


def test_text_is_never_markup(hello: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hello.lm.tokenizer.__class__, "token", lambda _self, _id: HOSTILE)
    strange = Subject(HOSTILE, hello.lm, hello.text, hello.snapshots)
    for page in PICTURES:
        for draw in PICTURES[page]:
            html = draw(strange).html()
            assert "<b>" not in html
            ElementTree.fromstring(html)


def test_words_that_are_one_piece_each_have_few_merges(hello: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "own_words", lambda _: ["ab", "ab", "a"])
    assert [frame.name for frame in tokens.merges_one_by_one(hello).frames] == ["0", "1"]


def test_pictures_of_a_long_sentence_stay_small(tmp_path: Path) -> None:
    lm = tinylm.train("hello", preset="notebook", steps=1, quiet=True, out=tmp_path / "long",
                      config={"model": {"context_length": 1024}})
    subject = Subject("long", lm, "hello , how are " * 250)
    assert len(writing.next_words(subject).frames) == writing.MOST_PLACES
    assert all(len(draw(subject).html()) < 500_000 for draw in PICTURES[0] + PICTURES[1])


def test_a_sentence_without_a_token_to_predict_has_no_loss(hello: Subject) -> None:
    with pytest.raises(TinyLMError, match="no token to predict"):
        one_weight.one_weight(Subject("hello", hello.lm, ""))


# ---- the numbers


def test_the_table_of_pairs_counts_the_text(hello: Subject) -> None:
    token = hello.lm.tokenizer.token
    counts = {(token(first), token(second)): count for (first, second), count in hello.pairs.items()}
    assert counts["how", "are"] == counts["how", "is"] == counts["<bos>", "hello"] == 2
    assert sum(counts.values()) == 26
    picture = counting.table_of_pairs(hello)
    assert picture.frames[picture.start].name == "how"
    assert "2 of 4" in texts(picture.frames[picture.start].svg)


def test_the_scale_has_the_losses_that_counting_reaches(hello: Subject) -> None:
    found = dict(counting.losses(hello))
    report = hello.lm.evaluate()
    assert found["any of 12 alike"] == pytest.approx(math.log(12))
    assert found["pairs counted"] == pytest.approx(8 * math.log(2) / 26)
    assert found["hello"] == pytest.approx(report.loss, abs=1e-5)
    assert found["tokens counted"] == pytest.approx(2.245, abs=1e-3)
    assert [f"{loss:.3f}" for loss in found.values()] == [
        each for each in texts(counting.scale_of_losses(hello).frames[0].svg) if NUMBER.fullmatch(each)]


def test_a_cell_unfolds_into_the_numbers_that_make_it(animals: Subject) -> None:
    layer, head = 1, 0
    numbers = attention.read_head(animals, layer, head)
    for query, row in enumerate(numbers.pattern):
        products = [np.dot(numbers.q[query], key) for key in numbers.k]
        scores = np.array([score / math.sqrt(len(numbers.q[query])) for score in products[:query + 1]])
        assert np.allclose(scores, numbers.scores[query][:query + 1], atol=1e-4)
        shares = np.exp(scores) / np.exp(scores).sum()
        assert np.allclose(shares, row[:query + 1], atol=1e-5)
        assert np.allclose(shares @ np.array(numbers.v)[:query + 1], numbers.z[query], atol=1e-5)
    picture = attention.draw_head(numbers)
    query, key = len(numbers.tokens) - 1, int(np.argmax(numbers.pattern[-1]))
    said = texts(picture.frames[picture.start].svg)
    assert f"2  divided by √16: the score {numbers.scores[query][key]:.3f}" in said
    assert f"{numbers.pattern[query][key]:.3f}" in said
    assert len(picture.frames) == 4 * 5 / 2


def test_the_curve_of_a_weight_has_the_slope_and_the_steps_of_the_optimisers(hello: Subject) -> None:
    found = one_weight.measure(hello.lm.model, hello.explanation.ids)
    step = training_step(hello.lm.model, hello.explanation.ids, hello.lm.config.train, found.name)
    assert found.value == pytest.approx(step.value_before)
    assert found.gradient == pytest.approx(step.gradient, rel=1e-4)
    assert one_weight.loss_at(found, 0.0) == pytest.approx(step.loss_before, abs=1e-5)
    assert found.moves["SGD"] == -found.gradient
    assert found.moves["Adam"] == pytest.approx(-math.copysign(1, found.gradient), abs=1e-3)
    assert step.value_after - step.value_before == pytest.approx(step.learning_rate * found.moves["Adam"], rel=1e-2)
    assert 0 < abs(found.moves["Muon"]) < 2
    assert found.moves["Muon"] * found.gradient < 0


def test_merges_go_from_characters_to_words(hello: Subject) -> None:
    picture = tokens.merges_one_by_one(hello)
    assert "".join(texts(picture.frames[0].svg)[:12]) == "hello,howare"
    assert "the last merge: h + o" in texts(picture.frames[1].svg)


def test_without_the_mask_the_same_queries_see_all(animals: Subject) -> None:
    numbers = attention.read_head(animals, 1, 0)
    pattern = np.array(past.without_mask(numbers))
    assert np.allclose(pattern.sum(-1), 1)
    assert np.allclose(pattern[-1], numbers.pattern[-1], atol=1e-5)  # the last position saw all before, too
    assert (pattern > 0).all()


def test_temperatures_and_top_p_are_those_that_the_sampler_has(hello: Subject) -> None:
    from tinylm.sampling.filters import apply_temperature, keep_top_p

    logits = hello.explanation.activations["logits"][0, -1].float().numpy()
    for temperature in writing.TEMPERATURES:
        probs = writing.softmax_at(logits.astype(np.float64), temperature)
        kept = keep_top_p(apply_temperature(logits, np.float32(temperature)), np.float32(writing.TOP_P))
        assert writing.n_kept(probs, writing.TOP_P) == np.isfinite(kept).sum()


def test_snapshots_end_at_the_model_that_a_run_gives(hello: Subject, tmp_path: Path) -> None:
    """By the run's own code: only rounding lies between its compute and that of the snapshots."""
    first, last = hello.snapshots[0], hello.snapshots[-1]
    assert (first.step, last.step) == (0, 9)
    run_of_nine = tinylm.train("hello", preset="notebook", epochs=9, out=tmp_path / "run", quiet=True)
    assert np.allclose(last.embedding, run_of_nine.model.embed.weight.detach().numpy(), atol=1e-4)
    assert not np.allclose(first.embedding, last.embedding, atol=1e-3)


def test_the_map_of_the_last_snapshot_is_that_of_an_explanation(hello: Subject) -> None:
    embedding = hello.lm.model.embed.weight.detach().numpy()
    places = run.centred(embedding) @ run.main_directions(embedding)
    drawn = hello.lm.explainer.embedding_map()
    for mine, theirs in zip(places, drawn.points, strict=True):
        assert np.allclose(np.abs(mine), np.abs((theirs.x, theirs.y)), atol=1e-4)
