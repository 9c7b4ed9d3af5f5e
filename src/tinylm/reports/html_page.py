"""The report of a run as one HTML page: curves, samples, the doctor's remarks, the numbers. It opens offline.

What comes from a model, a text or the name of a file is text on the page, never markup: it passes through
`escape_html`, or through `label` in figures. Should either ever miss something, the page's Content-Security-Policy lets
no script run but the two whose hashes it names, and loads nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from tinylm import model_folder
from tinylm.config.schema import DataConfig, RunConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.report import Report, perplexity_of
from tinylm.inspection import structure
from tinylm.page.markup import content_policy, escape_html, json_element
from tinylm.reports.history import History, read_events
from tinylm.reports.model_card import repeat_folder
from tinylm.reports.sentences import bits_comparison, cautions, verdict
from tinylm.system.extras import missing_extra
from tinylm.system.files import write_atomically, write_remedy
from tinylm.system.paths import given_path
from tinylm.system.untrusted import escape_control_codes
from tinylm.text.left_out import LeftOut
from tinylm.text.opening import without_cut_word
from tinylm.training.diagnostics.doctor import Finding, examine
from tinylm.training.events import Event, Sampled

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAME = "report.html"
_TEMPLATE = Path(__file__).with_suffix(".html")
FEW_SAMPLES, SAMPLES = 5, 40
"""Samples to begin with, and most on a page."""
_DRAW = """\
for (const place of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;  // a finger scrolls the page
  Plotly.newPlot(place, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}
"""


def write_page(folder: str | Path, out: str | Path | None = None, *, version: str) -> Path:
    """Writes the report of a run, whole or not at all. Returns its path.

    Args:
        folder: the model folder; its run may still be going on.
        out: by default report.html in the folder.
        version: of this tinylm.

    Raises:
        TinyLMError: there is no such folder, it has no records of a training, the page cannot be written, or plotly
            (the extra `report`) is not installed.
    """
    path = given_path(folder) / NAME if out is None else given_path(out)
    content = make_page(folder, version=version)
    try:
        write_atomically(path, content)
    except OSError as error:
        in_use = f"{write_remedy(error)}. " if isinstance(error, PermissionError) else ""
        raise TinyLMError(f"cannot be written ({error.strerror})", where=str(path),
                          remedy=f"{in_use}Choose another place with --out") from None
    return path


def make_page(folder: str | Path, *, version: str) -> str:
    """The page as HTML. Raises: TinyLMError: as in `write_page`."""
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError:
        raise missing_extra("report", "the page of a run") from None
    config, path = model_folder.read_config(folder), model_folder.model_path(folder)
    if model_folder.is_built_in(folder):
        raise TinyLMError("is a built-in model, which keeps no records of its training", where=str(folder),
                          remedy=f"What it was trained on stands in {path / model_folder.CARD}")
    events = _read_metrics(path)
    history = History.of(events)
    if not history.steps:
        raise model_folder.unfinished_error(folder) or TinyLMError(
            "tells of no training step", where=str(path / model_folder.METRICS),
            remedy="Wait until the run has taken its first steps, or train again")
    beside = _report_from_history(history)
    report = beside if beside is not None and math.isfinite(beside.loss) else None
    figures = _figures(history, beside)
    scripts = get_plotlyjs(), _DRAW
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=escape_html(_name(config, folder)), version=version, policy=content_policy(scripts),
        lead=_lead_sentence(history, report), numbers=_numbers(config, history, report),
        sections="\n".join(_sections(config, history, report, examine(events), _read_samples(path),
                                     config.command(repeat_folder(path)))),
        figures="\n".join(json_element(name, figure.to_json()) for name, figure in figures.items()),
        plotly=scripts[0], draw=scripts[1])


# ---- what the folder records


def _read_metrics(folder: Path) -> list[Event]:
    path = folder / model_folder.METRICS
    if not path.is_file():
        raise TinyLMError("is missing, so that nothing is known of the training", where=str(path),
                          remedy="Restore it from a copy, or train again")
    try:
        return list(read_events(path))
    except OSError as error:
        raise TinyLMError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _read_samples(folder: Path) -> list[Sampled]:
    """Samples in the order of steps; the last one of each step, for a rollback may have undone the others."""
    path = folder / model_folder.SAMPLES
    events = read_events(path) if path.is_file() else ()
    by_step = {event.step: event for event in events if isinstance(event, Sampled)}
    return [by_step[step] for step in sorted(by_step)]


def _report_from_history(history: History) -> Report | None:
    """The model beside the baselines; its loss is infinite where nothing was held out to validate on. None where the
    records have no baselines."""
    began, ratio = history.began, history.bits_per_byte_per_nat
    counted = {name: bits for name, bits in began.baselines.items() if math.isfinite(bits)} if began else {}
    if began is None or ratio is None or not counted:
        return None
    loss = history.best.loss if history.best else math.inf
    return Report(split="validation", loss=loss, perplexity=perplexity_of(loss),
                  bits_per_byte=loss * ratio + history.left_out_bits, tokens=began.validation_tokens,
                  bytes=began.validation_bytes, baselines=counted,
                  ngram_order=began.ngram_order, left_out=LeftOut(history.left_out_bits * began.validation_bytes))


def _name(config: RunConfig, folder: str | Path) -> str:
    return escape_control_codes(Path(config.data.source).name or Path(folder).resolve().name)


# ---- its parts, each as HTML


def _lead_sentence(history: History, report: Report | None) -> str:
    if report is not None:
        return f'<p class="lead">The model is {escape_html(verdict(report))}.</p>'
    if not history.validations:
        return ('<p class="lead">No text was held out: the loss says how well the model knows what it was trained on, '
                "not how well it reads anything else.</p>")
    return ""


def _numbers(config: RunConfig, history: History, report: Report | None) -> str:
    last, best = history.steps[-1], history.best
    numbers = {"bits a byte": f"{report.bits_per_byte:.3f}"} if report is not None else {}
    if best is not None:
        numbers |= {"validation loss": f"{best.loss:.4f}", "perplexity": f"{perplexity_of(best.loss):,.2f}"}
    else:
        numbers["loss of the last batch"] = f"{last.loss:.4f}"
    numbers |= {"parameters": f"{structure.total_parameters(config.model):,}", "steps": f"{last.step:,}",
                "epochs": f"{last.epoch:,.1f}"}
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items())


def _sections(config: RunConfig, history: History, report: Report | None, remarks: Sequence[Finding],
              samples: Sequence[Sampled], command: str) -> Iterable[str]:
    yield _section("Loss", _figure_slot("loss", "The loss at each step, and on the text held out") + "<p>" +
                   " ".join(escape_html(sentence) for sentence in _events_in_sentences(config, history)) + "</p>")
    yield _section("The doctor’s remarks", _remarks(remarks, history.finished is not None))
    if report is not None:
        yield _section("Beside plain counting", _comparison_bars(report))
    if samples:
        yield _section("What it wrote", _samples_section(history, samples, config.data))
    yield _section("Learning rate", _figure_slot("rate", "The learning rate at each step"))
    yield _section("Gradients", _figure_slot("gradients", "The norm of the gradient of each layer over the steps",
                                             "The norm of the gradient of each layer before clipping; the largest of "
                                             "the steps in a column."))
    yield _section("The text", _rows(_facts(config, history)))
    yield _section("Settings", _settings(config, command))


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}</section>"


def _figure_slot(name: str, described: str, caption: str = "") -> str:
    """Element that a figure is drawn into, as high as the figure will be."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><div data-figure="{name}" role="img" aria-label="{described}"></div>{below}</figure>\n'


def _events_in_sentences(config: RunConfig, history: History) -> Iterable[str]:
    """Sentences on the course of the run."""
    for event in history.rollbacks:
        yield (f"At step {event.step:,} a number in {event.where} was not finite: the run went back to step "
               f"{event.to_step:,}, with {event.learning_rate_scale:g} of the learning rate that was planned.")
    finished = history.finished
    if finished is None:
        yield f"The run is not over: step {history.steps[-1].step:,} is the last on record."
        return
    steps = f"{finished.step:,} step" + ("s" if finished.step != 1 else "")
    yield {"finished": f"The run came to its planned end after {steps}.",
           "until": f"The run reached the loss that was asked for, {config.train.target_loss}, after {steps}.",
           "interrupted": f"The run was stopped after {steps}, as asked.",
           "overfitting": f"The run was ended after {steps}, because the text held out only got harder for it.",
           "not finite": f"The run was ended after {steps}: a number in {finished.where or 'the loss'} was not finite.",
           }[finished.reason]
    yield f"The model has the weights of step {finished.best_step:,}."


def _remarks(remarks: Sequence[Finding], over: bool) -> str:
    if not remarks:
        none = ("None: nothing in the records of this run looks wrong." if over else
                "None so far. Whether the model overfits, or has learned too little, is judged at the end of the run.")
        return f'<p class="soft">{none}</p>'
    items = (f"<li><b>{escape_html(_sentence(each.text))}</b><br>{escape_html(_sentence(each.remedy))}"
             f'<br><span class="soft">{escape_html(each.topic)}'
             f'{f", step {each.step:,}" if each.step else ""}</span></li>'
             for each in remarks)
    return f'<ul class="remarks">{"".join(items)}</ul>'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _comparison_bars(report: Report) -> str:
    rows = bits_comparison(report)
    longest = max(value for _, value in rows) or 1.0
    cells = (f'<tr class="{"model" if value == report.bits_per_byte else "counting"}"><td>{escape_html(name)}</td>'
             f'<td>{value:.3f}</td><td><i style="width:{100 * value / longest:.1f}%"></i></td></tr>'
             for name, value in rows)
    return (f'<table class="bars">{"".join(cells)}</table>'
            '<p class="soft">Bits a byte of the text held out; less is better.'
            f'{"".join(f" {escape_html(_sentence(each))}" for each in cautions(report))}</p>')


def _samples_section(history: History, samples: Sequence[Sampled], data: DataConfig) -> str:
    """Samples over time: a few, the best step's among them, and more for those who ask."""
    best = history.best.step if history.best else None
    few = {each.step for each in _evenly(samples, FEW_SAMPLES)} | {best}
    written = _sample_list([each for each in samples if each.step in few], history, best, data)
    if len(samples) <= len(few):
        return written
    more = _evenly(samples, SAMPLES)
    title = f"All {len(samples)}" if len(more) == len(samples) else f"{len(more)} of {len(samples):,}"
    return f"{written}<details><summary>{title}</summary>{_sample_list(more, history, best, data)}</details>"


def _evenly(samples: Sequence[Sampled], most: int) -> list[Sampled]:
    """The first, the last, and others at even distances between."""
    count = min(len(samples), most)
    return [samples[i * (len(samples) - 1) // max(1, count - 1)] for i in range(count)]


def _sample_list(samples: Sequence[Sampled], history: History, best: int | None, data: DataConfig) -> str:
    losses = {each.step: each.loss for each in history.validations}
    items = (f'<li><span class="soft">step {each.step:,}'
             + (f"<br>loss {losses[each.step]:.4f}" if each.step in losses else "")
             + ("<br><b>best</b>" if each.step == best else "")
             + f'</span><pre dir="auto"><b>{escape_html(each.prompt)}</b>{escape_html(_shown(each, data))}</pre></li>'
             for each in samples)
    return f'<ol class="samples">{"".join(items)}</ol>'


def _shown(sample: Sampled, data: DataConfig) -> str:
    return sample.text if sample.prompt else without_cut_word(sample.text, data)


def _facts(config: RunConfig, history: History) -> Mapping[str, str]:
    data, began, last = config.data, history.began, history.steps[-1]
    facts = {"source": escape_control_codes(data.source) or "not told", "fingerprint": data.fingerprint or "not told"}
    if began is not None:
        facts["training"] = f"{began.train_tokens:,} tokens, {began.train_bytes:,} bytes"
        facts["held out"] = (f"{began.validation_tokens:,} tokens, {began.validation_bytes:,} bytes"
                             if began.validation_tokens else "nothing")
    if config.base.folder:
        facts["base"] = f"{escape_control_codes(config.base.folder)}, sha256 of its weights {config.base.fingerprint}"
    return facts | {"tokenizer": f"{data.tokenizer}, {config.model.vocab_size:,} entries",
                    "read": f"{last.tokens_seen:,} tokens, padding included; {last.epoch:,.1f} times the text"}


def _settings(config: RunConfig, command: str) -> str:
    groups = {"To repeat this run": f"<code>{escape_html(command)}</code>"}
    for name, values in config.model_dump(mode="json").items():
        groups[name] = _rows({key: json.dumps(value, ensure_ascii=False) for key, value in values.items()})
    return "".join(f"<details><summary>{title}</summary>{content}</details>" for title, content in groups.items())


def _rows(values: Mapping[str, str]) -> str:
    rows = (f"<tr><td>{escape_html(name)}</td><td>{escape_html(value)}</td></tr>" for name, value in values.items())
    return f"<table>{''.join(rows)}</table>"


# ---- figures and scripts


def _figures(history: History, beside: Report | None) -> dict[str, go.Figure]:
    from tinylm.reports import plots

    baselines = [row for row in bits_comparison(beside) if row[1] != beside.bits_per_byte] if beside else []
    return {"loss": plots.loss_curve(history, baselines), "rate": plots.learning_rate_curve(history),
            "gradients": plots.gradient_map(history)}
