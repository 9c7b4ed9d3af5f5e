"""The weights of a run with low-rank additions in its folder: the whole model, and the additions as an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tinylm import model_folder
from tinylm.interchange.peft import write_adapter
from tinylm.model.lora import additions_of, merged
from tinylm.planning.setup import RunSetup


def write_adapted(setup: RunSetup, folder: Path, parameters: Mapping[str, Tensor]) -> None:
    """Writes the model that a base and low-rank additions make up, which is whole without its base, and the additions.

    Args:
        parameters: of `LoRA`, by name.

    Raises:
        OSError: a file cannot be written.
    """
    config, base = setup.config, setup.weights
    assert base is not None, "additions have a base"
    additions = additions_of(parameters, config.base.lora)
    write_adapter(folder / model_folder.ADAPTER, additions, config.model, config.base)
    model_folder.write_weights(folder, merged(base, additions))
