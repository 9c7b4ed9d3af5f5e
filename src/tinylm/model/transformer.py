"""The transformer, in the order a token travels.

    ids ──► embed ──► x ─┬────────────────────► + ─┬──────────────► + ─► ... ─► ln_f ──► out_head ──► logits
                         └─► norm1 ─► attention ┘  └─► norm2 ─► MLP ┘
                         └──────────────── one layer ─────────────┘

The line x is the residual stream: every layer reads the stream and adds to it. Attention moves information between
positions; the MLP computes at each position alone. (That is the pre-norm wiring; `PostNormLayer` is the notebook's.)

Axis letters:  B batch   T query positions   S key positions   D d_model   H heads   G key/value heads   K d_head
               F d_mlp   V vocabulary

A line `self.tap(name, ...)` gives an activation its name (taps.py) and changes nothing. Not here: the loss and training
(training/), choosing the next id (generation/), the cache's own storage (kv_cache.py), first weights (init.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.model.init import init_weights
from tinylm.model.kv_cache import KVCache, LayerCache
from tinylm.model.norms import RMSNorm, make_norm
from tinylm.model.positions import Angles, apply_rotary, make_positions
from tinylm.model.taps import Tap, TapRegistry


def causal_mask(queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """Makes the mask (T, S), True = may attend: the last query stands at the last key, and no query sees a later key.

    >>> causal_mask(2, 4).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def attention_scores(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Scores of queries with keys: (B, H, T, K), (B, H, S, K), mask (T, S) -> (B, H, T, S), -inf where masked."""
    # A sum of K products grows with the root of K; dividing by it keeps the softmax from saturating
    # (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1).
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores if mask is None else scores.masked_fill(~mask, -math.inf)


def weighted_sum(pattern: Tensor, v: Tensor) -> Tensor:
    """The values, summed with the shares of the pattern as weights: (B, H, T, S), (B, H, S, K) -> (B, H, T, K)."""
    return pattern @ v


class Attention(nn.Module):
    """Multi-head attention: moves information between positions (Vaswani et al. 2017, arXiv 1706.03762).

    With fewer key/value heads than heads it is grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.d_head = config.n_heads, config.n_kv_heads, config.d_head
        d_queries, d_keys = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        self.q_proj = nn.Linear(config.d_model, d_queries, bias=config.bias)
        self.k_proj = nn.Linear(config.d_model, d_keys, bias=config.bias)
        self.v_proj = nn.Linear(config.d_model, d_keys, bias=config.bias)
        self.o_proj = nn.Linear(d_queries, config.d_model, bias=config.bias)
        self.q_norm = RMSNorm(config.d_head, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(config.d_head, config.norm_eps) if config.qk_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.causal = config.causal
        self.tap = Tap()

    def forward(self, x: Tensor, angles: Angles | None = None, cache: LayerCache | None = None) -> Tensor:
        """x (B, T, D) -> (B, T, D).

        Args:
            angles: of rotary positions, by which queries and keys are turned; None leaves them as they are.
            cache: keys and values of earlier positions; takes in the new ones.
        """
        q = self.q_norm(self._split_heads(self.q_proj(x)))  # (B, H, T, K): what each position looks for
        k = self.k_norm(self._split_heads(self.k_proj(x)))  # (B, G, T, K): what each position is found by
        v = self._split_heads(self.v_proj(x))  # (B, G, T, K): what each position hands over
        if angles is not None:
            q, k = apply_rotary(q, angles), apply_rotary(k, angles)
        q, k, v = self.tap("q", q), self.tap("k", k), self.tap("v", v)
        mask = None  # each query sees the keys up to its own; or (B, 1, T, S)
        if cache is not None:
            k, v, mask = cache.extend(k, v)  # (B, G, S, K)
        k, v = self._repeat_kv(k), self._repeat_kv(v)  # (B, H, S, K)
        # The two paths compute the same; only the explicit one has scores and a pattern for hooks to see.
        attend = self._attend_explicitly if self.tap.hooks else self._attend_fused
        z = self.tap("z", attend(q, k, v, mask))  # (B, H, T, K)
        return self.o_proj(z.transpose(1, 2).flatten(2))  # (B, T, H*K) -> (B, T, D)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads*K) -> (B, heads, T, K)."""
        return x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)

    def _repeat_kv(self, x: Tensor) -> Tensor:
        """Grouped-query attention: each key/value head serves H/G query heads. (B, G, S, K) -> (B, H, S, K)."""
        queries = self.n_heads // self.n_kv_heads
        return x if queries == 1 else x.repeat_interleave(queries, dim=1)

    def _attend_explicitly(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self.causal and mask is None:
            mask = causal_mask(q.shape[2], k.shape[2], q.device)
        scores = self.tap("scores", attention_scores(q, k, mask))  # (B, H, T, S)
        pattern = self.tap("pattern", scores.softmax(dim=-1))  # (B, H, T, S): each row sums to 1
        return weighted_sum(self.dropout(pattern), v)  # (B, H, T, K)

    def _attend_fused(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        queries, keys = q.shape[2], k.shape[2]
        square = self.causal and mask is None and queries == keys  # its mask is drawn by torch
        if self.causal and mask is None and not square and queries > 1:
            mask = causal_mask(queries, keys, q.device)
        dropout = self.dropout.p if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=square)


class MLP(nn.Module):
    """Multi-layer perceptron: computes at each position alone. Widens D to F, applies an activation function, and
    narrows again."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.d_model, config.d_mlp, bias=config.bias)
        self.down_proj = nn.Linear(config.d_mlp, config.d_model, bias=config.bias)
        self.activation = ACTIVATIONS[config.mlp]
        self.dropout = nn.Dropout(config.dropout)
        self.tap = Tap()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        pre = self.tap("mlp_pre", self.up_proj(x))  # (B, T, F)
        post = self.tap("mlp_post", self.activation(pre))  # (B, T, F)
        return self.down_proj(self.dropout(post))  # (B, T, D)


class GatedMLP(MLP):
    """An MLP whose hidden units are multiplied by the activation of a second view of the input, the gate (SwiGLU,
    Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.gate_proj = nn.Linear(config.d_model, config.d_mlp, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        pre = self.tap("mlp_pre", self.gate_proj(x))  # (B, T, F)
        post = self.tap("mlp_post", self.activation(pre) * self.up_proj(x))  # (B, T, F)
        return self.down_proj(self.dropout(post))  # (B, T, D)


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")  # GPT-2's form (Hendrycks & Gimpel 2016, arXiv 1606.08415)


def _squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()  # So et al. 2021, arXiv 2109.08668


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": _gelu,
    "squared_relu": _squared_relu,
    "swiglu": F.silu,
}


class Layer(nn.Module):
    """Layer: adds what attention found, then what the MLP computed, to the residual stream. Pre-norm: each of the
    two reads a normalised copy of the stream, and the stream itself runs straight through, so gradients reach the first
    layer undimmed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm1 = make_norm(config)
        self.attn = Attention(config)
        self.norm2 = make_norm(config)
        self.mlp = (GatedMLP if config.is_gated else MLP)(config)
        self.dropout = nn.Dropout(config.dropout)
        self.tap = Tap()

    def forward(self, x: Tensor, angles: Angles | None = None, cache: LayerCache | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = self.tap("resid_pre", x)
        x = self.tap("resid_mid", x + self._attention(self.norm1(x), angles, cache))
        return self.tap("resid_post", x + self._mlp(self.norm2(x)))

    def _attention(self, x: Tensor, angles: Angles | None, cache: LayerCache | None) -> Tensor:
        return self.dropout(self.tap("attn_out", self.attn(x, angles, cache)))

    def _mlp(self, x: Tensor) -> Tensor:
        return self.dropout(self.tap("mlp_out", self.mlp(x)))


class PostNormLayer(Layer):
    """Layer whose stream is normalised after each of the two sums: the wiring of the original transformer, of
    torch.nn.TransformerEncoderLayer, and so of the notebook."""

    def forward(self, x: Tensor, angles: Angles | None = None, cache: LayerCache | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = self.tap("resid_pre", x)
        x = self.tap("resid_mid", self.norm1(x + self._attention(x, angles, cache)))
        return self.tap("resid_post", self.norm2(x + self._mlp(x)))


class TinyLM(nn.Module):
    """A language model: ids in, one score for every possible next token out.

    Args:
        config: the shape of the model.
        seed: of the first weights (init.py).

    Attributes:
        taps: the hooks on its activations (taps.py).

    >>> model = TinyLM(ModelConfig.preset("notebook", vocab_size=12))
    >>> model(torch.tensor([[1, 5, 7]])).shape  # (B, T, V)
    torch.Size([1, 3, 12])
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.tap = Tap()
        make_layer = PostNormLayer if config.norm_position == "post" else Layer
        with torch.random.fork_rng(devices=[]):  # torch's modules draw weights too, only for init_weights to replace
            self.embed = nn.Embedding(config.vocab_size, config.d_model)
            self.positions = make_positions(config)
            self.layers = nn.ModuleList(make_layer(config) for _ in range(config.n_layers))
            self.ln_f = make_norm(config)
            self.out_head = nn.Linear(config.d_model, config.vocab_size, bias=config.head_bias)
            if config.tied_embeddings:
                self.out_head.weight = self.embed.weight
        self.taps = TapRegistry(self)
        init_weights(self, seed)

    def forward(self, ids: Tensor, cache: KVCache | None = None, position_ids: Tensor | None = None) -> Tensor:
        """ids (B, T) int64 -> logits (B, T, V).

        Args:
            cache: keys and values of earlier positions; then `ids` are the new ones only, and the cache takes them in.
            position_ids: (B, T) int64, where each id stands, for rows that stand at positions of their own. Default:
                the ids of a row stand side by side, from the cache's length on.

        Raises:
            TinyLMError: more positions than the model has learned vectors for.
        """
        start = cache.length if cache is not None else 0
        end = start + ids.shape[1] if position_ids is None else int(position_ids.max()) + 1
        self._check_length(end)
        if cache is not None:
            cache.begin(end, position_ids)
        positions = torch.arange(start, end, device=ids.device) if position_ids is None else position_ids
        x = self.positions.add(self.tap("embed", self.embed(ids)), positions)  # (B, T, D)
        angles = self.positions.angles(positions)
        for i, layer in enumerate(self.layers):
            x = layer(x, angles, cache.layers[i] if cache is not None else None)
        x = self.tap("ln_f", self.ln_f(x))
        return self.tap("logits", self.out_head(x))  # (B, T, V)

    def _check_length(self, length: int) -> None:
        if self.config.positions == "learned" and length > self.config.context_length:
            raise TinyLMError(f"{length} positions are more than the {self.config.context_length} that this model "
                              "has learned", where="context_length", remedy="Give it fewer ids")
