"""Taps: every activation of the model has one stable dotted name, under which hooks can watch or replace it.

A tap is a line such as `q = self.tap("q", q)` in transformer.py. A hook is a function of an activation's full name
(`layers.1.attn.q`) and its tensor, and what the hook returns flows on instead: the same tensor to watch, another one to
change what the model computes. Several hooks are applied in order, each to what the one before it returned. Without
hooks a tap hands its tensor on, at the price of one attribute look-up.

`TAPS` lists the taps; nothing here imports torch, so that a command or a page can read the list in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

Hook = Callable[[str, "Tensor"], "Tensor"]


class TapInfo(NamedTuple):
    """Row of `TAPS`: a tap.

    Attributes:
        name: the full name, with `i` for the number of a layer.
        shape: the axes, in the letters of transformer.py.
        about: what the activation is.
    """

    name: str
    shape: str
    about: str


AXES = {
    "B": ("sequences of a batch", ""),
    "T": ("positions; in attention, those that ask (queries)", ""),
    "S": ("positions that are asked (keys)", ""),
    "D": ("the residual stream", "d_model"),
    "H": ("heads", "n_heads"),
    "G": ("key/value heads", "n_kv_heads"),
    "K": ("width of one head", "d_head"),
    "F": ("hidden units of the MLP", "d_mlp"),
    "V": ("vocabulary", "vocab_size"),
}
"""Axis letters: what an axis runs over, and the size in `ModelConfig` that is its length; empty where a text decides
that."""

TAPS = (
    TapInfo("embed", "(B, T, D)", "the vectors of the ids"),
    TapInfo("layers.i.resid_pre", "(B, T, D)", "the residual stream as it enters the layer"),
    TapInfo("layers.i.attn.q", "(B, H, T, K)", "what each position looks for, after QK-norm and rotation"),
    TapInfo("layers.i.attn.k", "(B, G, T, K)", "what each position is found by, likewise"),
    TapInfo("layers.i.attn.v", "(B, G, T, K)", "what each position hands over"),
    TapInfo("layers.i.attn.scores", "(B, H, T, S)", "how well each query matches each key, -inf where it may not look"),
    TapInfo("layers.i.attn.pattern", "(B, H, T, S)", "the shares of attention; each row sums to 1"),
    TapInfo("layers.i.attn.z", "(B, H, T, K)", "what each head took in"),
    TapInfo("layers.i.attn_out", "(B, T, D)", "what attention found, before dropout"),
    TapInfo("layers.i.resid_mid", "(B, T, D)", "the stream between attention and MLP"),
    TapInfo("layers.i.mlp_pre", "(B, T, F)", "hidden units before the activation function; of a gated MLP, the gate"),
    TapInfo("layers.i.mlp_post", "(B, T, F)", "hidden units after it; of a gated MLP, after the product"),
    TapInfo("layers.i.mlp_out", "(B, T, D)", "what the MLP computed, before dropout"),
    TapInfo("layers.i.resid_post", "(B, T, D)", "the stream as it leaves the layer"),
    TapInfo("ln_f", "(B, T, D)", "the stream after the last norm"),
    TapInfo("logits", "(B, T, V)", "a score for every next token"),
)
"""Every tap of a `TinyLM`, in the order in which the activations arise."""


def tap_names(n_layers: int) -> list[str]:
    """The full names of the taps of a model of `n_layers` layers, in the order in which the activations arise.

    >>> tap_names(1)[:3]
    ['embed', 'layers.0.resid_pre', 'layers.0.attn.q']
    """
    before, *layer, ln_f, logits = (tap.name for tap in TAPS)
    inside = [name.replace("layers.i.", f"layers.{i}.") for i in range(n_layers) for name in layer]
    return [before, *inside, ln_f, logits]


class Tap:
    """Names the activations of one module, and applies the model's hooks to them."""

    __slots__ = ("hooks", "prefix")

    def __init__(self) -> None:
        self.prefix, self.hooks = "", list[Hook]()

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        for hook in self.hooks:
            activation = hook(self.prefix + name, activation)
        return activation


class TapRegistry:
    """The hooks of one model, shared by the taps of all its modules.

    Args:
        model: whose modules are walked once, so that each one's `tap` gets the path of its module as its prefix.

    Attributes:
        hooks: in the order in which they are applied. Empty: the model computes at full speed.
    """

    def __init__(self, model: nn.Module) -> None:
        self.hooks: list[Hook] = []
        for path, module in model.named_modules():
            if isinstance(tap := getattr(module, "tap", None), Tap):
                owner = path.removesuffix(".mlp")  # the names of an MLP's taps begin with mlp_ as they are
                tap.prefix, tap.hooks = f"{owner}." if owner else "", self.hooks


@runtime_checkable
class HasTaps(Protocol):
    """A model with a tap registry, such as `TinyLM`."""

    taps: TapRegistry


@contextmanager
def hooked(model: HasTaps, *hooks: Hook) -> Iterator[None]:
    """Within the block every tap calls each hook as `hook(name, activation)`, and the result flows on.

    Blocks combine: the hooks of an inner block come after those of the outer one.

    >>> from tinylm import ModelConfig, TinyLM
    >>> import torch
    >>> model, ids = TinyLM(ModelConfig(vocab_size=5)), torch.tensor([[1, 2, 3]])
    >>> def ablate(name, activation):  # the second layer's MLP adds nothing
    ...     return activation * 0 if name == "layers.1.mlp_out" else activation
    >>> with hooked(model, ablate), capture(model, ["layers.1.mlp_out"]) as kept:
    ...     logits = model(ids)
    >>> kept["layers.1.mlp_out"].any()
    tensor(False)
    """
    model.taps.hooks.extend(hooks)
    try:
        yield
    finally:
        for hook in hooks:
            model.taps.hooks.remove(hook)


@contextmanager
def capture(model: HasTaps, names: Collection[str] | None = None) -> Iterator[dict[str, Tensor]]:
    """Within the block the activations of each forward pass are kept in the dict by name, in the order they arise.

    Args:
        names: full names, such as `layers.0.attn.pattern`; only these are kept. None keeps all (`TAPS`).

    >>> from tinylm import ModelConfig, TinyLM
    >>> import torch
    >>> model = TinyLM(ModelConfig(vocab_size=5, n_heads=4))
    >>> with capture(model, ["layers.0.attn.pattern"]) as kept:
    ...     logits = model(torch.tensor([[1, 2, 3]]))
    >>> kept["layers.0.attn.pattern"].shape  # (B, H, T, S)
    torch.Size([1, 4, 3, 3])
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str, activation: Tensor) -> Tensor:
        if names is None or name in names:
            kept[name] = activation
        return activation

    with hooked(model, keep):
        yield kept
