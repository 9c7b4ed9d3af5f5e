"""The sections of an explanation: what each computes as plain data, and how it looks in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinylm.errors import TinyLMError
from tinylm.inspection.change import Change, compare
from tinylm.inspection.embeddings import EmbeddingMap, Neighbour
from tinylm.inspection.explainer import Effects, Explainer
from tinylm.inspection.explanation import AttentionPattern, Explanation
from tinylm.inspection.heads import HeadScore
from tinylm.inspection.patching import PatchMap
from tinylm.reports.explain_lines import (
    attention_lines,
    change_lines,
    contribution_lines,
    lens_lines,
    neighbour_lines,
    part_lines,
    patch_lines,
    step_lines,
    token_lines,
)

SHOWN_NEIGHBOURS = 5


@dataclass(frozen=True)
class ExplainRequest:
    """A person's request: what to show of one text.

    Attributes:
        explainer: of the model.
        unchanged, text: the explanation as the model is, and with the changes that were asked for.
        other: the text that activations are taken from; None: none.
        off, mean: the parts that are off, and whether they give their mean; for the loss of the validation text.
        head: the layer and number of a head; None: the one with the largest contribution.
        token, against: ids; None: the likeliest.
        position: after which token.
        weight: that a training step follows; None: the one with the largest gradient.
        top: tokens at each place.
        width: of the terminal, in characters.
        note: takes a sentence on what is missing.
    """

    explainer: Explainer
    unchanged: Explanation
    text: Explanation
    other: Explanation | None
    off: str | None
    mean: bool
    head: tuple[int, int] | None
    token: int | None
    against: int | None
    position: int
    weight: str | None
    top: int
    width: int
    note: Callable[[str], None]

    def attention(self) -> AttentionPattern:
        """The attention of the head. Raises: TinyLMError: the model has none."""
        head = self.head or self.text.strongest_head(self.text.contributions(self.token, self.against, self.position))
        if head is None:
            raise TinyLMError("this model has no layers, and so no heads", where="attention",
                              remedy="Leave attention out: --show tokens,lens,contributions")
        return self.text.attention(*head)

    def own_text(self, measure: Callable[[], Effects]) -> Effects | None:
        """A loss on the validation text; None, with a note, where that is not to be had."""
        try:
            return measure()
        except TinyLMError as error:
            self.note(f"note: the loss of the validation text is not known: {error}")
            return None


class Parts(NamedTuple):
    """The habits of the heads, and the effects of heads and MLPs on the validation text."""

    heads: list[HeadScore]
    effects: Effects | None


class Embedding(NamedTuple):
    """The different tokens of a text: the neighbours of each, in order, and the map."""

    neighbours: list[list[Neighbour]]
    map: EmbeddingMap


class Section(NamedTuple):
    """A section.

    Attributes:
        data: computes it.
        lines: shows the data.
    """

    data: Callable[[ExplainRequest], Any]
    lines: Callable[[Any, ExplainRequest], list[str]]


def _after(asked: ExplainRequest) -> Any:
    return asked.text.tokens()[asked.position]


def _change(asked: ExplainRequest) -> Change:
    off = asked.off
    effect = None if off is None else asked.own_text(lambda: asked.explainer.effect(off, mean=asked.mean))
    return compare(asked.unchanged, asked.text, asked.top, asked.position, effect)


def _patching(asked: ExplainRequest) -> PatchMap:
    assert asked.other is not None, "the command line asks for the other text"
    return asked.text.patch_map(asked.other, asked.token, asked.against)


def _parts(asked: ExplainRequest) -> Parts:
    return Parts(asked.explainer.head_scores(), asked.own_text(lambda: asked.explainer.effects(mean=asked.mean)))


def _embedding(asked: ExplainRequest) -> Embedding:
    ids = list(dict.fromkeys(asked.text.ids))
    return Embedding([asked.explainer.neighbours(id, SHOWN_NEIGHBOURS) for id in ids],
                     asked.explainer.embedding_map(ids))


SECTIONS: dict[str, Section] = {
    "tokens": Section(lambda asked: asked.text.tokens(),
                      lambda data, asked: token_lines(data, asked.text.loss, asked.width)),
    "lens": Section(lambda asked: asked.text.lens(asked.top, asked.token, asked.position),
                    lambda data, asked: lens_lines(data, _after(asked), asked.width)),
    "attention": Section(ExplainRequest.attention, lambda data, asked: attention_lines(data, asked.width)),
    "contributions": Section(lambda asked: asked.text.contributions(asked.token, asked.against, asked.position),
                             lambda data, asked: contribution_lines(data, _after(asked), asked.width)),
    "change": Section(_change, lambda data, asked: change_lines(data, asked.width)),
    "patching": Section(_patching, lambda data, asked: patch_lines(data, asked.text.tokens(), asked.width)),
    "step": Section(lambda asked: asked.text.training_step(asked.weight), lambda data, _: step_lines(data)),
    "parts": Section(_parts, lambda data, asked: part_lines(data.heads, data.effects, asked.width)),
    "neighbours": Section(_embedding, lambda data, asked: neighbour_lines(data.neighbours, data.map, asked.width)),
}
"""The sections by name; the first four are the pictures of a text, the others experiments."""
