"""The model of a LanguageModel: its weights, the torch module made of them, and the backend that serves them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tinylm import model_folder
from tinylm.config.schema import ModelConfig, WeightDtype
from tinylm.config.spelling import match_name
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.inspection import structure

if TYPE_CHECKING:  # torch takes a second to import, and writing text does not need it
    from tinylm.engine.engine import Engine
    from tinylm.generation.backend import Backend
    from tinylm.model.tensors import Weights
    from tinylm.model.transformer import TinyLM


class LoadedModel:
    """The weights of a model, served by the compiled engine where that can be, else by torch.

    Args:
        module: a torch module whose weights may still change; or None, and its weights are given.
        weights: the parameters by name, which change no more.
        device: the device of the module that is made of the weights.
        weight_dtype: how the engine keeps the weights.
    """

    def __init__(self, config: ModelConfig, module: TinyLM | None = None, weights: Weights | None = None,
                 device: str = "cpu", weight_dtype: WeightDtype = "fp32") -> None:
        self.config, self.weight_dtype = config, weight_dtype
        self.device = device if device == "cpu" else _chosen_device(device)
        self._weights = None if weights is None else dict(weights)
        if module is not None:
            self.module = module.eval()

    @property
    def weights(self) -> Weights | None:
        """The parameters by name; None while the module is being trained. Where the engine has the only copy, another
        one is made, and stays."""
        if self._weights == {}:
            self._weights = self.engine.unpack_weights()
        return self._weights

    @cached_property
    def module(self) -> TinyLM:
        """The torch module in evaluation mode, made when it is first asked for."""
        assert self.weights is not None
        return model_folder.make_model(self.config, self.weights).to(self.device).eval()

    def freeze(self) -> None:
        """Ends the training of the module: takes its weights, and lets go of the module, so that the engine serves."""
        from tinylm.model.tensors import weights_of

        self._weights, self.device = weights_of(self.module), self.module.embed.weight.device.type
        del self.module

    @property
    def served_by(self) -> Literal["engine", "torch"]:
        """The backend: the engine for weights on the CPU, while the module, if there is one, is as it was made of them;
        torch for a module whose weights change, that a hook listens to, or that sees the future, and for every model on
        a processor for which the compiled engine is wrong."""
        return "engine" if self._suits_engine() and self._engine_is_right else "torch"

    def check_weight_dtype(self) -> None:
        """Raises: TinyLMError: weights of fewer bits are for the engine, and this model is not."""
        if self.weight_dtype != "fp32" and not self._suits_engine():
            raise TinyLMError(f"only the compiled engine keeps weights as {self.weight_dtype}, and this model is for "
                              "torch: it sees the future, is not on the CPU, or is not as it was loaded",
                              where="weight_dtype", remedy="Load it as fp32")

    def backend(self) -> Backend:
        """The backend that serves. Raises: TinyLMError: as `check_weight_dtype`."""
        self.check_weight_dtype()
        if self.served_by == "engine":
            from tinylm.generation.backend import EngineBackend

            return EngineBackend(self.engine)
        from tinylm.generation.torch_backend import TorchBackend
        from tinylm.jit.cache import announce
        from tinylm.model.threads import threads_for
        from tinylm.sampling.filters import COMPILING, choose

        if self._weights is not None:  # a training run tells by itself what it compiles
            announce(choose, COMPILING)
        cores = threads_for(structure.flops_per_token(self.config, self.config.context_length))
        return TorchBackend(self.module, cores=cores)

    @cached_property
    def engine(self) -> Engine:
        """The compiled engine with these weights. It takes them over, so that a large model is in memory once; but not
        where it keeps them in fewer bits, from which they do not come back, nor beside a module that was made of them.
        """
        from tinylm.engine.engine import Engine

        assert self._weights is not None
        takes_over = self.weight_dtype == "fp32" and "module" not in vars(self)
        return Engine(self.config, self._weights if takes_over else dict(self._weights), self.weight_dtype)

    def _suits_engine(self) -> bool:
        if self._weights is None or self.device != "cpu" or not self.config.causal:
            return False
        return "module" not in vars(self) or self._is_as_loaded()

    @cached_property
    def _engine_is_right(self) -> bool:
        """The verdict of the engine's self-test, which the first program on a machine makes after compiling."""
        from tinylm.engine.forward import forward
        from tinylm.generation.self_test import engine_test
        from tinylm.jit.cache import announce

        announce(forward, "the engine for this processor")
        return engine_test(self.weight_dtype).verdict.is_right

    def _is_as_loaded(self) -> bool:
        from tinylm.model.tensors import weights_of

        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in self.module.modules())
        if self.module.taps.hooks or hooked or self.module.embed.weight.dtype.itemsize != 4:
            return False
        now = weights_of(self.module)
        return all(np.array_equal(now[name], array) for name, array in (self.weights or {}).items())


def find_weight_dtype(name: object) -> WeightDtype:
    """The weight dtype of this name. Raises: TinyLMError: there is none."""
    dtypes: tuple[WeightDtype, ...] = get_args(WeightDtype)
    known = match_name(str(name), dtypes)
    if known is None:
        raise TinyLMError(f"there is no weight dtype {name!r}", where="weight_dtype",
                          remedy=did_you_mean(str(name), dtypes))
    return known


def _chosen_device(name: str) -> str:
    from tinylm.model.device import choose_device

    return choose_device(name).type
