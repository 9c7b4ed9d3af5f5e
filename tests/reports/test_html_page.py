"""The report of a run: it tells what is on record, opens offline, and takes nothing foreign for markup."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from tinylm import model_folder
from tinylm.config.schema import RunConfig
from tinylm.errors import TinyLMError
from tinylm.page.markup import escape_html
from tinylm.reports.html_page import make_page, write_page
from tinylm.training.events import Began, Event, Finished, RolledBack, Sampled, Stepped, Validated, to_json_line

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAYLOADS = ["<script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">",
            "</script><script>document.title='owned'</script>", "</pre></title><svg onload=document.title='owned'>",
            "\"><b>'&amp;<!--", "$policy ${figures} $"]
BEGAN = Began(1000, 50, 16, 900, 1800, 100, 200, {"uniform": 4.0, "unigram": 2.5, "ngram": 1.9}, 0.0, 0.0)
ENDED = Finished(40, "finished", 30, 2.0, 2560)


def step(number: int, loss: float | None = None, layer: str = "layers.0") -> Stepped:
    loss = 2 + 3 / number if loss is None else loss
    return Stepped(number, loss, 0.01, 1.0, {"embed": 0.5, layer: 0.8}, 64 * number, 0.1 * number)


VALIDATED = [BEGAN, *map(step, range(1, 11)), Validated(10, 2.5, True), *map(step, range(11, 31)),
             Validated(30, 2.0, True), *map(step, range(31, 41)), Validated(40, 2.1, False), ENDED]


def run_folder(folder: Path, events: Iterable[Event] = VALIDATED, samples: Iterable[Sampled] = (),
               source: str = "texts/book.txt") -> Path:
    """What a run leaves behind, without its weights."""
    folder.mkdir(exist_ok=True)
    model_folder.write_config(folder, RunConfig.from_dict({
        "model": {"vocab_size": 50}, "data": {"source": source, "fingerprint": "c0ffee", "tokenizer": "char"},
        "train": {"steps": 40}}))
    for name, records in ((model_folder.METRICS, events), (model_folder.SAMPLES, samples)):
        (folder / name).write_text("".join(map(to_json_line, records)), encoding="utf-8")
    return folder


class Reader(HTMLParser):
    """The tags and the text of a page, and what is in its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, _: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    @property
    def line(self) -> str:
        return " ".join(self.text.split())


def read(folder: Path) -> Reader:
    return Reader(make_page(folder, version="9.9"))


# ---- what it tells


def test_it_tells_the_numbers_the_end_and_the_text(tmp_path: Path) -> None:
    page = read(run_folder(tmp_path))
    bits = 2.0 * 100 / 200 / math.log(2)
    for fact in ("book.txt", f"by {1.9 - bits:.2f} bits a byte", f"{bits:.3f}", "2.0000", f"{math.exp(2):.2f}",
                 "40", "900 tokens, 1,800 bytes", "100 tokens, 200 bytes", "c0ffee", "char, 50 entries", "tinylm 9.9",
                 "planned end after 40 steps", "the weights of step 30", "2,560 tokens"):
        assert fact in page.line, fact
    figures = [script for script in page.scripts if script.startswith("{")]
    assert len(figures) == 3
    assert all(json.loads(figure)["data"] for figure in figures)


@pytest.mark.parametrize(("finished", "fact"), [
    (Finished(40, "until", 30, 2.0, 1), "reached the loss that was asked for"),
    (Finished(40, "interrupted", 30, 2.0, 1), "was stopped after 40 steps"),
    (Finished(40, "overfitting", 30, 2.0, 1), "only got harder"),
    (Finished(40, "not finite", 30, 2.0, 1, "layers.3"), "a number in layers.3 was not finite"),
], ids=lambda value: getattr(value, "reason", ""))
def test_how_a_run_ended(tmp_path: Path, finished: Finished, fact: str) -> None:
    assert fact in read(run_folder(tmp_path, [*VALIDATED[:-1], finished])).line


def test_samples_over_time(tmp_path: Path) -> None:
    samples = [Sampled(10, "It", " was  <b>bold</b>\n & so on"), Sampled(30, "", "in vain"), Sampled(40, "", "stale"),
               Sampled(40, "", "fresh")]
    page = read(run_folder(tmp_path, samples=samples))
    assert "It was  <b>bold</b>\n & so on" in page.text
    assert re.search(r"step 10\s*loss 2\.5000.*step 30\s*loss 2\.0000\s*best\s*…vain.*step 40", page.line)
    assert "fresh" in page.line
    assert "stale" not in page.line, "the sample of a step that a rollback undid"


def test_very_many_samples_are_not_all_shown(tmp_path: Path) -> None:
    page = read(run_folder(tmp_path, samples=[Sampled(i, "", f"text-{i}.") for i in range(1, 1001)]))
    assert "40 of 1,000" in page.line
    assert len(re.findall(r"text-\d+\.", page.line)) < 60
    assert {"text-1.", "text-30.", "text-1000."} <= set(re.findall(r"text-\d+\.", page.line))


def test_a_rollback_is_told(tmp_path: Path) -> None:
    events = [*VALIDATED[:6], RolledBack(6, 3, "layers.2", 0.5), *VALIDATED[4:]]
    told = read(run_folder(tmp_path, events)).line
    assert "At step 6 a number in layers.2 was not finite: the run went back to step 3" in told
    assert "with 0.5 of the learning rate" in told


def test_what_the_doctor_says(tmp_path: Path) -> None:
    """A run that learns its text by heart gets a remark; one without anything wrong gets none."""
    from tinylm.training.diagnostics.doctor import examine

    events = [BEGAN]
    for number in range(1, 401):
        events.append(step(number, 3 * 0.99 ** number))
        if number % 20 == 0:
            events.append(Validated(number, 2.0 + number / 100, number == 20))
    page = read(run_folder(tmp_path, events))
    remarks = examine(events)
    assert remarks
    for remark in remarks:
        assert remark.text[1:] in page.text
        assert remark.remedy[1:] in page.text


def test_a_gap_between_the_losses_is_never_said_to_look_right(tmp_path: Path) -> None:
    """A run that is not over is not said to be well, and one that is over gets its remark."""
    events = [BEGAN, *(step(number, 4.0 / number ** 0.5) for number in range(1, 101)), Validated(100, 2.4, True)]
    so_far = read(run_folder(tmp_path, events)).line
    assert "None so far" in so_far
    assert "looks wrong" not in so_far
    told = read(run_folder(tmp_path, [*events, Finished(100, "finished", 100, 2.4, 6400)])).line
    assert "The model is overfitting: it learns the text" in told
    assert "looks wrong" not in told
    assert "None: nothing in the records of this run looks wrong." in read(run_folder(tmp_path)).line


# ---- runs with less on record


def test_a_run_without_validation(tmp_path: Path) -> None:
    began = Began(1000, 50, 16, 900, 1800, 0, 0, {"uniform": 4.0, "unigram": 2.5}, 0.0, 0.0)
    page = read(run_folder(tmp_path, [began, *map(step, range(1, 41)), Finished(40, "finished", 40, None, 2560)]))
    assert "No text was held out" in page.line
    assert "the weights of step 40" in page.line
    assert "validation loss" not in page.line
    assert "better than" not in page.line
    assert "guessing 4.00" in page.scripts[0], "a line to compare the curve with"


def test_a_run_that_is_not_over_and_whose_last_line_is_cut(tmp_path: Path) -> None:
    metrics = run_folder(tmp_path, VALIDATED[:-1]) / model_folder.METRICS
    metrics.write_bytes(metrics.read_bytes()[:-30])
    told = read(tmp_path).line
    assert "The run is not over: step 40 is the last on record" in told
    assert "weights of step" not in told


def test_a_run_of_an_earlier_tinylm(tmp_path: Path) -> None:
    """It had no facts at its beginning, and no gradients of layers."""
    metrics = run_folder(tmp_path, VALIDATED[1:]) / model_folder.METRICS
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.pop("layer_gradients", None)
    metrics.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (tmp_path / model_folder.SAMPLES).unlink()
    page = read(tmp_path)
    assert "2.0000" in page.line
    assert "bits a byte" not in page.line


def test_baselines_that_only_another_version_knows(tmp_path: Path) -> None:
    began = Began(1000, 50, 16, 900, 1800, 100, 200, {"uniform": 4.0, "oracle": 0.5, "mute": math.nan}, 0.0, 0.0)
    assert "oracle" in read(run_folder(tmp_path, [began, *VALIDATED[1:]])).line


@pytest.mark.parametrize(("content", "fact"), [
    (None, "is missing"), ("", "no training step"), ("{}\n[]\n", "no training step"),
    (to_json_line(BEGAN), "no training step"),
], ids=["missing", "empty", "no events", "not one step yet"])
def test_a_folder_that_tells_nothing_of_a_training(tmp_path: Path, content: str | None, fact: str) -> None:
    metrics = run_folder(tmp_path) / model_folder.METRICS
    metrics.unlink()
    if content is not None:
        metrics.write_text(content, encoding="utf-8")
    with pytest.raises(TinyLMError, match=fact) as error:
        write_page(tmp_path, version="9.9")
    assert "metrics.jsonl" in str(error.value)
    assert not (tmp_path / "report.html").exists()


def test_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="model folder"):
        write_page(tmp_path, version="9.9")


# ---- the file


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_folder(tmp_path / "run")
    path = write_page(folder, version="9.9")
    assert path == folder / "report.html"
    before = path.read_bytes()
    names = {each.name for each in folder.iterdir()}
    with monkeypatch.context() as broken:
        broken.setattr("os.replace", _no_room)
        with pytest.raises(TinyLMError, match="cannot be written"):
            write_page(folder, version="9.9")
    assert path.read_bytes() == before
    assert {each.name for each in folder.iterdir()} == names
    for place in (tmp_path / "nowhere" / "page.html", tmp_path, ".", "/"):
        with pytest.raises(TinyLMError, match="cannot be written"):
            write_page(folder, place, version="9.9")


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_the_same_records_make_the_same_page(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    assert make_page(folder, version="9.9") == make_page(folder, version="9.9")


# ---- foreign text, and other hosts


def run_full_of(texts: list[str], folder: Path) -> Path:
    """A run in which every text that is not ours is one of these."""
    everything = "".join(texts)
    events = [BEGAN, *(step(i, layer=text) for i, text in enumerate(texts * 2, start=1)), Validated(12, 2.0, True),
              RolledBack(13, 10, everything, 0.5), step(11), step(12), Validated(12, 2.0, True),
              Finished(12, "not finite", 12, 2.0, 768, everything)]
    samples = [Sampled(i, text, text + "\ud800\x1b[2J") for i, text in enumerate(texts, start=1)]
    return run_folder(folder, events, samples, source=everything)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_full_of(PAYLOADS, tmp_path_factory.mktemp("hostile"))


def test_foreign_text_is_text(hostile: Path, tmp_path: Path) -> None:
    page, harmless = read(hostile), read(run_full_of([f"text {i}" for i in range(len(PAYLOADS))], tmp_path))
    assert page.tags == harmless.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in harmless.attributes]
    assert page.tags.count("script") == 5
    for payload in PAYLOADS:
        assert page.text.count(payload) >= 4, "in the heading, the facts, the prompt and the text"
    assert "\ufffd" in page.text
    assert not re.search(r"[\ud800-\udfff\x1b]", page.text)
    assert escape_html("<&\"'\x00") == "&lt;&amp;&quot;&#x27;\ufffd"


def test_it_asks_no_other_host_for_anything(tmp_path: Path) -> None:
    page = make_page(run_folder(tmp_path, samples=[Sampled(30, "", "")]), version="9.9")
    ours = page.replace(get_plotlyjs(), "")
    assert len(page) - len(ours) > 1e6
    assert not re.findall(r"https?:|\bimport\b|\burl\(|fetch|MathJax|XMLHttp|WebSocket", ours)
    assert not {"src", "href", "srcset", "action", "background"} & {name for name, _ in Reader(ours).attributes}


def test_its_policy_allows_our_two_scripts_alone(hostile: Path) -> None:
    (policy,) = [value for name, value in read(hostile).attributes if value and value.startswith("default-src")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("'sha256-") == 2
    assert "unsafe-inline" not in policy.split("style-src")[0]


def open_in_chromium(page: Path, profile: Path) -> tuple[str, str]:
    """The document after its scripts have run, and what the console said."""
    assert CHROMIUM
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=200, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_in_a_browser(hostile: Path, tmp_path: Path) -> None:
    """The figures are drawn under the policy, and no attack runs: not even where one gets past the escaping."""
    page = write_page(hostile, tmp_path / "page.html", version="9.9")
    document, console = open_in_chromium(page, tmp_path / "profile")
    assert console == ""
    drawn = document.split("<body>")[1]
    assert drawn.count('class="main-svg"') >= 3
    assert drawn.count('class="hm"') + drawn.count("<image") >= 1, "the heat map"
    assert "<title>owned</title>" not in document
    assert "&lt;img src=x onerror=" in drawn.split('data-figure="gradients"')[1].split("</figure>")[0]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_the_policy_holds_where_escaping_would_fail(hostile: Path, tmp_path: Path) -> None:
    page = write_page(hostile, tmp_path / "page.html", version="9.9")
    content = page.read_text(encoding="utf-8")
    page.write_text(content.replace("<main>", "<main>" + "".join(PAYLOADS[:2])), encoding="utf-8")
    document, console = open_in_chromium(page, tmp_path / "profile")
    assert "<title>owned</title>" not in document
    assert console.count("Content Security Policy") >= 3
    assert document.count('class="main-svg"') >= 3
