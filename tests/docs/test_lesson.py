"""Pages of the lesson: they are what they are made of, their numbers are computed, and every question has its place."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest

import tinylm
from tests.docs.lesson_pages import DEFINITION, FOLDER, ROOT, SOURCE, made, written
from tests.docs.test_names import table
from tests.docs.test_readme import masked, shows
from tests.learn.texts import zen
from tinylm.cli import main
from tinylm.learn.pages import PAGES, Page

TEXTS = {page: (ROOT / page.path).read_text(encoding="utf-8") for page in PAGES}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^\$ tinylm (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
DECIMAL = re.compile(r"(?<![\d.])-?\d+\.\d+(?![\d.]*\d)")
NUMBER = re.compile(r"\d[\d,]*\.?\d*")
NEAR, NEARLY = 0.06, 0.15
"""A number of a trained model may differ by so much, or by this share, on another machine."""

pytestmark = pytest.mark.xdist_group("lesson")

QUESTIONS = {
    "1 token and specials": ("01", "tokens-and-marks"),
    "2 unknown words, sub-words, how BPE chooses merges": ("01", "merges"),
    "3 what an embedding learns": ("04", "what-a-row-learns"),
    "4 q, k, v with numbers": ("05", "three-tokens-on-paper"),
    "5 why divide by sqrt(d_head)": ("05", "why-divide-by-the-root"),
    "6 causal mask on numbers, and a model trained without it": ("06", "the-mask"),
    "7 residual stream, pre- and post-norm": ("07", "one-stream-that-all-add-to"),
    "8 LayerNorm, RMSNorm": ("07", "norms-by-hand"),
    "9 the MLP, and why wider": ("07", "the-mlp-wide-and-bent"),
    "10 positions, rotary": ("06", "positions"),
    "11 logits, softmax, temperature, top-k, top-p": ("09", "temperature"),
    "12 cross-entropy, ln 12, nats, perplexity, bits a byte": ("02", "the-scale-of-losses"),
    "13 the shift by one": ("02", "the-shift-by-one"),
    "14 padding": ("08", "padding"),
    "15 Adam, AdamW, Muon, warm-up": ("03", "adam-adamw-muon"),
    "16 how one gradient step changes a weight": ("03", "one-step"),
    "17 overfitting in my run": ("08", "overfitting"),
    "18 the 17,932": ("11", "counting-the-17932"),
    "19 the key/value cache": ("09", "the-keyvalue-cache"),
    "20 the heads of MY model": ("10", "look-switch-off-change"),
    "21 model size and text size": ("12", "how-large-a-model-for-how-much-text"),
    "22 from the toy to GPT-2, Llama, Qwen3": ("11", "piece-by-piece"),
    "23 carrying it to Hugging Face, llama.cpp, a browser": ("12", "to-other-programs"),
    "24 making it answer": ("12", "making-it-answer"),
    "25 several GPUs": ("12", "several-devices"),
}
"""Questions of a reader who knows nothing of transformers: the page and the anchor that answer each."""


def test_the_pages_are_what_they_are_made_of() -> None:
    for path, text in made().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m tests.docs.lesson_pages"
    assert {path.name for path in made()} == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize(("number", "anchor"), QUESTIONS.values(), ids=QUESTIONS)
def test_each_question_has_its_place(number: str, anchor: str) -> None:
    text = next(text for page, text in TEXTS.items() if f"{page.number:02}" == number)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_table_of_shapes_says_what_the_presets_are() -> None:
    words = {"positions": lambda shape: shape.positions, "norm": lambda shape: shape.norm,
             "its place": lambda shape: {"post": "after", "pre": "before"}[shape.norm_position],
             "MLP": lambda shape: shape.mlp, "biases": lambda shape: "yes" if shape.bias else "no",
             "norm of q and k": lambda shape: "yes" if shape.qk_norm else "no",
             "output head": lambda shape: "the embedding" if shape.tied_embeddings else "its own"}
    rows = {row[0]: row[1:] for row in table(TEXTS[PAGES[11]], "Piece by piece")}
    shapes = [tinylm.ModelConfig.preset(name, vocab_size=12) for name in ("notebook", "gpt2", "llama", "qwen3")]
    for piece, word in words.items():
        for cell, shape in zip(rows[piece], shapes, strict=False):
            assert cell.lower().startswith(word(shape)), f"{piece}: {cell}"
    tied = [tinylm.ModelConfig.preset(name, vocab_size=12).tied_embeddings for name in ("qwen3", "tinylm")]
    assert tied == [True, False]


def test_each_term_is_defined_once() -> None:
    terms = [term for text in TEXTS.values() for term, _ in DEFINITION.findall(written(text))]
    assert len(terms) == len(set(terms)) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_all_five_parts(page: Page) -> None:
    text = TEXTS[page]
    assert "\n## On yours\n" in text
    assert "<!-- source: " in text
    assert text.count("\n## ") >= 3
    assert COMMANDS.search(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_numbers_are_computed(page: Page) -> None:
    """A number with a decimal point in the text is one, rounded, of a block of the page, which other tests run."""
    text = written(TEXTS[page])
    blocks = "\n".join(block for _, block in BLOCK.findall(text))
    prose = re.sub(r"`[^`\n]*`|<!--.*?-->|\]\([^)]*\)|arXiv\s[\d.]+", "", BLOCK.sub("", text))
    computed = [abs(float(number)) for number in DECIMAL.findall(blocks)]
    missing = [number for number in DECIMAL.findall(prose) if not any(
        f"{one:.{len(number.partition('.')[2])}f}" == number.lstrip("-") for one in computed)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_python_prints_what_is_shown(page: Page) -> None:
    text = SOURCE.sub("", TEXTS[page])  # whose own examples other tests run
    examples = "\n".join(block for language, block in BLOCK.findall(text) if language == "python" and ">>> " in block)
    test = doctest.DocTestParser().get_doctest(examples, {"tinylm": tinylm}, page.name, page.path, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hello_run: Path, animals_run: Path) -> Path:
    """A folder with the two models of the lesson in it."""
    for name, run in (("notebook", hello_run), ("animals", animals_run)):
        shutil.copytree(run, tmp_path / "runs" / name)
    (tmp_path / "zen.txt").write_text(zen(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TINYLM_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_print_what_is_shown(page: Page, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [block for language, block in BLOCK.findall(TEXTS[page]) if language == "console"]
    for block in blocks:
        for command, shown in COMMANDS.findall(block):
            words = shlex.split(command)
            if "--out" in words:
                shutil.rmtree(place / words[words.index("--out") + 1], ignore_errors=True)
            assert main(words) == 0, command
            printed = capsys.readouterr().out
            missing = [line for line in shown.splitlines() if line != "..." and not is_printed(line, printed)]
            assert not missing, f"{command} does not print {missing}, but\n{printed}"


def is_printed(line: str, printed: str) -> bool:
    """True if a line is printed, with nearly the same numbers."""
    if not shows(printed, line):
        return False
    alike = [out for out in printed.splitlines() if masked(out).startswith(masked(line.removesuffix("...")))]
    return any(all(map(near, NUMBER.findall(line), NUMBER.findall(out))) for out in alike)


def near(one: str, other: str) -> bool:
    mine, theirs = (float(each.replace(",", "").rstrip(".")) for each in (one, other))
    return abs(mine - theirs) <= max(NEAR, NEARLY * abs(mine))
