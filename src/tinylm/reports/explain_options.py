"""Options of an explanation: what a person asks to see of a text, by the names that command and studio share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tinylm.errors import TinyLMError, did_you_mean

if TYPE_CHECKING:  # a mistaken option is told before torch is there
    from tinylm.config.schema import RunConfig
    from tinylm.generation.generator import Prompt
    from tinylm.inspection.explainer import Explainer
    from tinylm.inspection.explanation import Explanation
    from tinylm.reports.explain_sections import ExplainRequest

PICTURES = ("tokens", "lens", "attention", "contributions")
EXPERIMENTS = ("change", "patching", "step", "parts", "neighbours")


@dataclass(frozen=True)
class ExplainOptions:
    """The options, as docs/EXPLAIN.md tells of them.

    Attributes:
        head: whose attention is shown, such as "1.0".
        token, against: the tokens that compete, as text or "#ID".
        position: after which token.
        off, mean: parts that are switched off, and whether they give their mean.
        patch, at: another text, and the places that its activations are put into.
        step, weight: whether one training step is made, and the weight that it follows.
        show: names of sections, with commas; None: the pictures, or the experiments that are asked for.
        top: tokens at each place.
    """

    head: str | None = None
    token: str | None = None
    against: str | None = None
    position: int = -1
    off: str | None = None
    mean: bool = False
    patch: str | None = None
    at: str | None = None
    step: bool = False
    weight: str | None = None
    show: str | None = None
    top: int = 3


class ExplainedModel(Protocol):
    """A `LanguageModel`, as far as its explanation needs it."""

    config: RunConfig

    @property
    def explainer(self) -> Explainer:
        """The explainer of the model, whatever the text."""

    def explain(self, prompt: Prompt) -> Explanation:
        """The explanation of a text."""


def request_of(lm: ExplainedModel, options: ExplainOptions, text: Prompt, other: Prompt | None, *, width: int,
               note: Callable[[str], None]) -> ExplainRequest:
    """The request that options make.

    Args:
        text: that is explained, as the model reads it.
        other: `options.patch`, likewise.
        width: of the terminal, in characters.
        note: takes a sentence on what is missing.

    Raises:
        TinyLMError: an option that does not fit the model or the text.
    """
    from tinylm.config.section import whole_number
    from tinylm.inspection.places import find_head
    from tinylm.reports.explain_sections import ExplainRequest

    top = whole_number(options.top, "--top", 1)
    changed = unchanged = lm.explain(text)
    source = None if other is None else lm.explain(other)
    if options.off is not None:
        changed = changed.without(options.off, mean=options.mean)
    if options.at is not None and source:
        changed = changed.patched(source, options.at)
    token, against = (None if name is None else lm.explainer.token_id(name, option)
                      for name, option in ((options.token, "--token"), (options.against, "--against")))
    head = None if options.head is None else find_head(options.head, lm.config.model, "--head")
    return ExplainRequest(lm.explainer, unchanged, changed, source, options.off, options.mean, head, token, against,
                          options.position, options.weight, top, width, note)


def plain_data(asked: ExplainRequest, given: str, data: dict[str, Any]) -> dict[str, Any]:
    """An explanation as JSON has it.

    Args:
        given: the text as a person gave it.
        data: of each section that is shown.
    """
    from tinylm.inspection.plain import plain

    text = asked.text
    return {"text": given, "ids": [*text.ids], "changes": [*text.changes], "loss": text.loss, **plain(data)}


def sections_of(options: ExplainOptions) -> list[str]:
    """The sections that are shown. Raises: TinyLMError: there is no such section, or an option is missing for it."""
    if options.at is not None and options.patch is None:
        raise TinyLMError("says where, and there is no other text", where="--at", remedy="Give it with --patch TEXT")
    if options.mean and options.off is None and "parts" not in (options.show or ""):
        raise TinyLMError("says how parts are switched off, and none is", where="--mean",
                          remedy="Name some with --off, such as --off 0.0")
    if options.weight and not options.step:
        raise TinyLMError("is a weight that a step follows, and no step is made", where="--weight",
                          remedy="Add --step")
    possible = {"change": options.off is not None or options.at is not None,
                "patching": options.patch is not None, "step": options.step}
    asked = [name for name, is_possible in possible.items() if is_possible]
    if options.show is None:
        return [name for name in asked if name != "patching" or options.at is None] or [*PICTURES]
    names = [name.strip() for name in options.show.split(",") if name.strip()]
    for name in names:
        if name not in (*PICTURES, *EXPERIMENTS):
            raise TinyLMError(f"there is nothing called {name!r} to show", where="--show",
                              remedy=did_you_mean(name, (*PICTURES, *EXPERIMENTS)))
        if name in possible and name not in asked:
            needed = {"change": "--off PARTS, or --patch TEXT --at PLACES", "patching": "--patch TEXT",
                      "step": "--step"}[name]
            raise TinyLMError(f"{name!r} needs an experiment", where="--show", remedy=f"Give {needed}")
    if not names:
        raise TinyLMError("names nothing", where="--show", remedy=f"Choose from: {', '.join(PICTURES + EXPERIMENTS)}")
    return list(dict.fromkeys(names))
