"""Explainer: LanguageModel's way into what a model computes, on one text and in general."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import RunConfig
from tinylm.errors import TinyLMError
from tinylm.inspection import embeddings, heads
from tinylm.inspection.embeddings import EmbeddingMap, Neighbour
from tinylm.inspection.explanation import Explanation
from tinylm.inspection.heads import HeadScore, PartEffect
from tinylm.inspection.interventions import ablate
from tinylm.inspection.places import find_places
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import Batch
from tinylm.text.tokenizer import Tokenizer
from tinylm.training.loss import count_targets

MEASURED_TOKENS = 4096
"""Tokens of the validation text that the effect of a part is measured on, at most."""


@dataclass(frozen=True)
class Effects:
    """The effects of parts on the loss of a text.

    Attributes:
        split: the text: "validation", or "train" where nothing was held out.
        tokens: of it that were measured on.
        loss: of the model as it is, in nats a token.
        parts: the effects.
    """

    split: str
    tokens: int
    loss: float
    parts: list[PartEffect]


class PromptReader(Protocol):
    """A reader of texts (generation/generator.py)."""

    def ids_of(self, prompt: str | list[int]) -> list[int]:
        """The ids of a text as the model reads it."""


class OwnText(Protocol):
    """The text that a model is evaluated by (evaluation/evaluator.py)."""

    def own_batches(self, n_tokens: int) -> tuple[str, list[Batch]]:
        """The name of the text, and batches of about so many of its tokens, evenly from the whole of it."""


class ExplainedModel(Protocol):
    """A `LanguageModel`, as far as its explanation needs it."""

    config: RunConfig
    tokenizer: Tokenizer

    @property
    def model(self) -> TinyLM:
        """The torch module."""

    @property
    def generator(self) -> PromptReader:
        """The reader of texts that a person typed."""

    @property
    def evaluator(self) -> OwnText:
        """The keeper of the text that the model is evaluated by."""


class Explainer:
    """Explains one model.

    >>> [near.token for near in lm.explainer.neighbours("your", top=1)] != ["your"]
    True
    """

    def __init__(self, lm: ExplainedModel) -> None:
        self.lm = lm

    def explain(self, prompt: str | list[int]) -> Explanation:
        """See `LanguageModel.explain`."""
        ids, most = self.lm.generator.ids_of(prompt), self.lm.config.model.context_length
        if len(ids) > most:
            raise TinyLMError(f"the text has {len(ids)} tokens, and this model sees {most} at once", where="the text",
                              remedy="Give a part of it")
        return Explanation(self.lm.model, self.lm.tokenizer, ids, self.lm.config.train)

    def token_id(self, token: str, where: str) -> int:
        """The id of a token given as its text, or as `#` and its id. Raises: TinyLMError: no such token, at `where`."""
        from tinylm.sampling.sampler import token_id  # imports the compiler, which nothing else here needs

        return token_id(token, self.lm.tokenizer, where)

    # ---- heads and MLPs

    def head_scores(self) -> list[HeadScore]:
        """The share of its attention that each head gives to the previous token, and to the token after an earlier
        occurrence of the current one (heads.py).

        >>> [score.previous_token is not None for score in lm.explainer.head_scores()]
        [True, True, True, True]
        """
        specials, config = self.lm.tokenizer.specials, self.lm.config.model
        candidates = [id for id in range(self.lm.tokenizer.vocab_size) if id not in specials.hidden | {specials.unk}]
        start = specials.start if specials.add_bos else None
        return heads.head_scores(self.lm.model, heads.repeated_ids(candidates, config.context_length, start))

    def effects(self, *, mean: bool = False, n_tokens: int = MEASURED_TOKENS) -> Effects:
        """The loss of the validation text without each head and each MLP.

        Args:
            mean: a part that is off gives its mean over that text; false: zero.
            n_tokens: measured on, about; taken evenly from the whole text.

        Raises:
            TinyLMError: the training text has moved or changed.

        >>> effects = lm.explainer.effects()
        >>> effects.split, len(effects.parts)
        ('train', 6)
        """
        split, batches = self.lm.evaluator.own_batches(n_tokens)
        loss, parts = heads.part_effects(self.lm.model, batches, mean=mean)
        return Effects(split, count_targets(batches), loss, parts)

    def effect(self, parts: str, *, mean: bool = False, n_tokens: int = MEASURED_TOKENS) -> Effects:
        """The loss of the validation text without some parts together. Arguments and errors: as `effects`.

        Args:
            parts: as in `Explanation.without`.

        >>> lm.explainer.effect("attn, mlp").parts[0].difference > 0
        True
        """
        places = find_places(parts, self.lm.config.model, "off")
        split, batches = self.lm.evaluator.own_batches(n_tokens)
        means = heads.text_means(self.lm.model, batches) if mean else None
        whole = heads.loss_of(self.lm.model, batches)
        loss = heads.loss_of(self.lm.model, batches, [ablate(places, means)])
        return Effects(split, count_targets(batches), whole, [PartEffect(parts, loss, loss - whole)])

    # ---- the embedding

    def neighbours(self, token: str | int, top: int = 5) -> list[Neighbour]:
        """The tokens whose embeddings point most nearly the same way.

        Args:
            token: its text, `#` and its id, or its id.

        Raises:
            TinyLMError: no such token.
        """
        id = token if isinstance(token, int) else self.token_id(token, "token")
        self.lm.tokenizer.token(id)
        return embeddings.neighbours(self._embedding, id, top, self.lm.tokenizer)

    def embedding_map(self, ids: list[int] | None = None) -> EmbeddingMap:
        """A map of the embedding in two dimensions. Args: ids: the tokens on it; None: all."""
        chosen = list(range(self.lm.tokenizer.vocab_size)) if ids is None else ids
        return embeddings.embedding_map(self._embedding, chosen, self.lm.tokenizer)

    @property
    def _embedding(self) -> NDArray[np.float32]:
        return self.lm.model.embed.weight.detach().float().cpu().numpy()
