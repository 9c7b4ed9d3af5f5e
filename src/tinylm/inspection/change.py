"""Change: a text's prediction as it is, beside that of the changed model."""

from __future__ import annotations

from dataclasses import dataclass

from tinylm.inspection.explainer import Effects
from tinylm.inspection.explanation import Explanation
from tinylm.sampling.predictions import Prediction


@dataclass(frozen=True)
class Change:
    """The effect of changes on one text.

    Attributes:
        changes: what was changed, a line each.
        loss_before, loss_after: of the text in nats a token; None for a text of one token.
        before, after: the same tokens in the same order, the likeliest of both, with their probabilities after the
            chosen position.
        effect: of the parts that are off on the validation text; None: not measured.
    """

    changes: tuple[str, ...]
    loss_before: float | None
    loss_after: float | None
    before: list[Prediction]
    after: list[Prediction]
    effect: Effects | None = None


def compare(before: Explanation, after: Explanation, top: int = 5, position: int = -1,
            effect: Effects | None = None) -> Change:
    """Compares two explanations of one text.

    Args:
        top: the likeliest tokens of each that are compared.
        position: after which token.
        effect: of the same change on the validation text (`Explainer.effect`).

    >>> text = lm.explain("hello , how are")
    >>> change = compare(text, text.without("1"), top=1)
    >>> change.before[0].token, change.before[0].probability > change.after[0].probability
    ('you', True)
    """
    likeliest = [*before.next(top, position), *after.next(top, position)]
    ids = sorted({each.id for each in likeliest}, key=[each.id for each in likeliest].index)
    return Change(after.changes, before.loss, after.loss, [before.probability(id, position) for id in ids],
                  [after.probability(id, position) for id in ids], effect)
