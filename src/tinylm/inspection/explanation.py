"""Explanation: what a model computes on one text, read off its activations, as plain data.

An explanation can be changed: `without` switches parts off, `patched` puts in what they computed on another text. The
result is an explanation again, of the changed model, so changes combine and everything can be asked of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tinylm.config.schema import TrainConfig
from tinylm.config.section import whole_number
from tinylm.errors import TinyLMError
from tinylm.inspection.contributions import Contribution, contributions
from tinylm.inspection.interventions import ablate, mean_activations, patch
from tinylm.inspection.one_step import TrainingStep, training_step
from tinylm.inspection.patching import PatchMap, patch_map
from tinylm.inspection.places import check_head, find_places
from tinylm.inspection.trace import logit_lens, trace
from tinylm.model.taps import Hook
from tinylm.model.transformer import TinyLM
from tinylm.sampling.predictions import Prediction, likeliest
from tinylm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenScore:
    """A token of the text, and how the model expected it.

    Attributes:
        position: from 0; `<bos>` has one as well.
        id, token: which one.
        probability: that the model gave it before it came, from 0 to 1; None for the first.
        rank: 1 for the token that the model held likeliest; None for the first.
    """

    position: int
    id: int
    token: str
    probability: float | None
    rank: int | None


@dataclass(frozen=True)
class AttentionPattern:
    """The attention of one head: rows are positions that look (queries), columns those that are looked at (keys).

    Attributes:
        layer, head: which one.
        tokens: T labels of rows and columns alike.
        pattern: (T, T), shares from 0 to 1; each row sums to 1.
        scores: (T, T), what softmax made the pattern of; None where a position may not look.
    """

    layer: int
    head: int
    tokens: tuple[str, ...]
    pattern: list[list[float]]
    scores: list[list[float | None]]


@dataclass(frozen=True)
class LensReading:
    """The prediction of a model if the stream at one place went straight to `ln_f` and `out_head`.

    Attributes:
        stream: the name of the residual stream, `layers.0.resid_pre` or `layers.i.resid_post`.
        next: for each position the likeliest next tokens, best first.
        probabilities: for each position the probability of the token that is named as `token`.
        ranks: for each position its rank, from 1.
    """

    stream: str
    next: list[list[Prediction]]
    probabilities: list[float]
    ranks: list[int]


@dataclass(frozen=True)
class Lens:
    """The logit lens: readings from the embedding to the last layer, whose reading is the prediction.

    Attributes:
        token: the token whose probability is followed through the layers.
        readings: one for each stream, in order.
    """

    token: Prediction
    readings: list[LensReading]


@dataclass(frozen=True)
class Contributions:
    """Direct logit attribution: the terms whose sum is the difference of two logits (contributions.py).

    Attributes:
        position: after which the two tokens compete.
        token, against: the two, with their probabilities.
        logit_difference: the logit of `token` less that of `against`.
        parts: the terms, in the order in which the model adds them up.
    """

    position: int
    token: Prediction
    against: Prediction
    logit_difference: float
    parts: list[Contribution]


class Explanation:
    """A model's computation on one text.

    Args:
        model: the torch module.
        tokenizer: names the ids.
        ids: T of them, at least one.
        train: the settings of a training step.
        hooks: the changes that hold, in order.
        changes: a line for people on each of them.

    Attributes: `ids` and `changes`, as given.

    >>> explanation = lm.explain("hello , how are")
    >>> explanation.tokens()[-1].token, explanation.next(1)[0].token
    ('are', 'you')
    >>> explanation.without("1.mlp").changes
    ('1.mlp off',)
    """

    def __init__(self, model: TinyLM, tokenizer: Tokenizer, ids: Sequence[int], train: TrainConfig,
                 hooks: Sequence[Hook] = (), changes: Sequence[str] = ()) -> None:
        self.ids, self.changes = tuple(ids), tuple(changes)
        self._model, self._tokenizer, self._train, self._hooks = model, tokenizer, train, tuple(hooks)

    # ---- what is there

    @cached_property
    def activations(self) -> dict[str, Tensor]:
        """The activations by name, as `LanguageModel.trace` gives them, with the changes.

        Raises:
            TinyLMError: a change that cannot be made on this text, or a model whose logits are no numbers.
        """
        activations = trace(self._model, self.ids, self._hooks)
        if not activations["logits"].isfinite().all():
            raise TinyLMError("its logits are not finite numbers", where="the model",
                              remedy="The model is damaged: restore its folder from a copy, or train again")
        return activations

    def tokens(self) -> list[TokenScore]:
        """The tokens of the text, each with the probability and the rank that the model gave it."""
        logits = self.activations["logits"][0]
        probs = logits.double().softmax(-1)
        scores = [(None, None), *((float(probs[before, id]), _rank(logits[before], id))
                                  for before, id in enumerate(self.ids[1:]))]
        return [TokenScore(position, id, self._tokenizer.token(id), *score)
                for position, (id, score) in enumerate(zip(self.ids, scores, strict=True))]

    @property
    def loss(self) -> float | None:
        """The loss of the text in nats a token: of each token after the first. None: there is none."""
        if len(self.ids) < 2:
            return None
        targets = torch.tensor(self.ids[1:], device=self.activations["logits"].device)
        logits = self.activations["logits"][0, :-1].double()
        return float(torch.nn.functional.cross_entropy(logits, targets))

    def next(self, top: int = 5, position: int = -1) -> list[Prediction]:
        """The likeliest tokens after a position, best first."""
        return self._likeliest(self.activations["logits"][0, self._position(position)], whole_number(top, "top", 1))

    def probability(self, id: int, position: int = -1) -> Prediction:
        """The probability of a token after a position."""
        probs = self.activations["logits"][0, self._position(position)].double().softmax(-1)
        return Prediction(id, self._tokenizer.token(id), float(probs[id]))

    def attention(self, layer: int, head: int) -> AttentionPattern:
        """The attention of a head. Raises: TinyLMError: there is no such head."""
        check_head(layer, head, self._model.config, "head")
        pattern, scores = (self.activations[f"layers.{layer}.attn.{tap}"][0, head].tolist()
                           for tap in ("pattern", "scores"))
        finite = [[score if score > float("-inf") else None for score in row] for row in scores]
        return AttentionPattern(layer, head, tuple(self._tokenizer.tokens(self.ids)), pattern, finite)

    def lens(self, top: int = 3, token: int | None = None, position: int = -1) -> Lens:
        """The logit lens: the prediction of each layer.

        Args:
            top: the number of predictions at each position.
            token: an id, whose probability is followed; None: the likeliest after `position`.
        """
        followed, top = self.next(1, position)[0].id if token is None else token, whole_number(top, "top", 1)
        readings = []
        for stream, logits in logit_lens(self._model, self.activations).items():
            rows, ranks = logits[0], 1 + (logits[0] > logits[0][:, followed, None]).sum(-1)
            readings.append(LensReading(stream, [self._likeliest(row, top) for row in rows],
                                        rows.double().softmax(-1)[:, followed].tolist(), ranks.tolist()))
        return Lens(self.probability(followed, position), readings)

    def contributions(self, token: int | None = None, against: int | None = None,
                      position: int = -1) -> Contributions:
        """The share of each part in the logit of a token against that of another.

        Args:
            token: an id; None: the likeliest.
            against: an id; None: the likeliest of the others.
            position: after which the two compete.

        >>> found = lm.explain("hello , how are").contributions()
        >>> abs(sum(part.value for part in found.parts) - found.logit_difference) < 1e-4
        True
        """
        position = self._position(position)
        best = [prediction.id for prediction in self.next(2, position)]
        token = best[0] if token is None else token
        if against is None:
            against = next((id for id in best if id != token), token)
        logits = self.activations["logits"][0, position]
        parts = contributions(self._model, self.activations, position, token, against)
        return Contributions(position, self.probability(token, position), self.probability(against, position),
                             float(logits[token] - logits[against]), parts)

    # ---- what would be

    def without(self, parts: str, *, mean: bool = False) -> Explanation:
        """The explanation with parts switched off, besides the changes that hold already.

        Args:
            parts: as `1.0` for a head, `1.mlp`, `1.attn`, `1` for a layer, `attn`, `mlp`, or a tap; several with commas
                (places.py).
            mean: a part gives its mean over the positions of this text; false: zero.

        Raises:
            TinyLMError: no such part.
        """
        places = find_places(parts, self._model.config, "off")
        means = mean_activations(self.activations) if mean else None
        return self._changed(ablate(places, means), f"{parts} {'at its mean' if mean else 'off'}")

    def patched(self, source: Explanation, at: str) -> Explanation:
        """The explanation with activations of another text put in, besides the changes that hold already.

        Args:
            source: the other text.
            at: the parts, as in `without`; with a position `1.0:3`, or `1.0:-1` where the texts have not the same
                length.

        Raises:
            TinyLMError: no such part, or, when it is asked, pieces of different shapes.
        """
        places = find_places(at, self._model.config, "at")
        return self._changed(patch(places, source.activations), f"{at} from the other text")

    def patch_map(self, source: Explanation, token: int | None = None, against: int | None = None) -> PatchMap:
        """The difference of two logits after each single patch from another text.

        Args:
            source: a text with as many tokens.
            token: an id; None: the likeliest after the other text.
            against: an id; None: the likeliest after this text that is not `token`.

        Raises:
            TinyLMError: the two texts differ in length.
        """
        token = source.next(1)[0].id if token is None else token
        against = next(each.id for each in self.next(2) if each.id != token) if against is None else against
        return patch_map(self._model, self.ids, source.activations, self.probability(token),
                         self.probability(against), self._hooks)

    def training_step(self, weight: str | None = None) -> TrainingStep:
        """Makes one training step on this text, on a copy of the model, seen from one weight (one_step.py).

        Args:
            weight: such as `layers.0.mlp.up_proj.weight[3, 5]`; None: the one with the largest gradient.

        Raises:
            TinyLMError: no such weight, or a text of one token.
        """
        return training_step(self._model, self.ids, self._train, weight, self._hooks)

    def strongest_head(self, found: Contributions) -> tuple[int, int] | None:
        """The layer and number of the head with the largest term among contributions; None: there are no heads."""
        heads = [part for part in found.parts if part.part.replace(".", "", 1).isdigit()]
        if not heads:
            return None
        layer, head = max(heads, key=lambda part: abs(part.value)).part.split(".")
        return int(layer), int(head)

    def _changed(self, hook: Hook, change: str) -> Explanation:
        return Explanation(self._model, self._tokenizer, self.ids, self._train, [*self._hooks, hook],
                           [*self.changes, change])

    def _likeliest(self, logits: Tensor, top: int) -> list[Prediction]:
        return likeliest(logits.float().cpu().numpy(), top, self._tokenizer)

    def _position(self, position: int) -> int:
        """The position counted from 0. Raises: TinyLMError: there is none."""
        if not -len(self.ids) <= position < len(self.ids):
            raise TinyLMError(f"there is no position {position}: they go from 0 to {len(self.ids) - 1}",
                              where="position", remedy="The last one is -1")
        return position % len(self.ids)


def _rank(logits: Tensor, id: int) -> int:
    return 1 + int((logits > logits[id]).sum())
