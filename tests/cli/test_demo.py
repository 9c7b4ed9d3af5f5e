"""The demo tells the whole notebook, and what it tells is what happened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import run_elsewhere

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def transcript() -> str:
    return run_elsewhere("demo")


def test_its_lines_fit_a_terminal(transcript: str) -> None:
    assert max(map(len, transcript.splitlines())) <= 80
    assert "\x1b" not in transcript


def test_it_is_the_same_every_time_and_everywhere(transcript: str, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello").write_text("a file that has the name of the corpus")
    monkeypatch.chdir(tmp_path)
    assert run_elsewhere("demo") == transcript
    assert [path.name for path in tmp_path.iterdir()] == ["hello"]


def test_it_has_twelve_chapters(transcript: str) -> None:
    numbers = re.findall(r"^ ?(\d+)  [A-Z]", transcript, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("fact", [
    "12 entries: <pad>=0 <bos>=1 <eos>=2 hello=3 ,=4 how=5 are=6 you=7 ?=8 is=9 your=10 day=11",
    "[1, 5, 9, 10, 11, 8, 2]",
    "(the same text)",
    "'Hi' (word 1",
    "<unk>",
    "logits (1, 6, 12)",
    "inputs (4, 8) targets (4, 8)",
    "targets how are you ? <eos> <pad> <pad> <pad>",
    "6 of its 32 targets are padding",
    "prompt how you hello",
    "hello , how are → hello , how are you ? ✓",
    "hello , how is → hello , how is your day ? ✓",
    "how are → how are you ? ✓",
    "how is → how is your day ? ✓",
    "12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12",
    "17,932 by the formula; the model itself holds 17,932",
    "The lowest loss possible on the words is 0.2133",
    "a table of pairs, at best 0.3662",
    "the lowest possible 0.1831",
    "tinylm train hello --preset notebook --out runs/notebook",
])
def test_it_shows(transcript: str, fact: str) -> None:
    assert fact in " ".join(transcript.replace("│", " ").split())


def test_the_loss_goes_down_in_ten_lines(transcript: str) -> None:
    lines = re.findall(r"epoch +(\d+) of 200 +loss (\d\.\d{4})", transcript)
    assert [int(epoch) for epoch, _ in lines] == list(range(20, 201, 20))
    assert float(lines[-1][1]) < 0.3 < 0.9 < float(lines[0][1])


def test_only_without_the_mask_does_a_later_word_reach_back(transcript: str) -> None:
    without, masked = (re.findall(rf"{name} the mask +([\d.]+) +([\d.]+) +([\d.]+)", transcript)[0]
                       for name in ("without", "with"))
    assert without[0] != without[1]
    assert float(without[2]) > 0.01
    assert masked[0] == masked[1]
    assert float(masked[2]) <= 1e-6


def test_on_the_animals_only_a_model_with_its_heads_is_better_than_a_table_of_pairs(transcript: str) -> None:
    off, on = (float(re.findall(rf"{name} +(\d\.\d{{4}})", transcript)[0]) for name in ("its heads off", "the model"))
    assert 0.1831 <= on <= 0.1831 + 0.02
    assert off >= 0.3662


def test_its_last_words_lead_on(transcript: str) -> None:
    assert "tinylm learn " in transcript[transcript.index("Now try"):]


def test_padding_in_the_loss_flatters(transcript: str) -> None:
    counted, real = re.findall(r"padding counted (\d\.\d+).*?alone (\d\.\d+)", transcript, re.DOTALL)[0]
    assert float(counted) < float(real)
