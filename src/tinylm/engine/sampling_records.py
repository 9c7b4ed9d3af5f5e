"""What a run of steps is told of the texts whose ids it chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.engine.records import SAMPLING, address_of
from tinylm.sampling.sampler import Sampler


class SamplingRecords:
    """
    Args:
        samplers: one for each text. A run brings their counts up to date, `Sampler.accept` their places.
        eos_id: the id that ends a text.
    """

    def __init__(self, samplers: Sequence[Sampler], eos_id: int) -> None:
        self._samplers, self._records = samplers, np.zeros(len(samplers), SAMPLING)
        self._records["eos"] = eos_id
        for record, sampler in zip(self._records, samplers, strict=True):
            record["bias"], record["counts"] = address_of(sampler.bias), address_of(sampler.counts)
            for name, value in sampler.params._asdict().items():
                record[name] = value

    def ahead(self, steps: int) -> NDArray[np.void]:
        """The records for a run of so many steps; good until the next ones are asked for."""
        self._uniforms = np.array([sampler.uniforms(steps) for sampler in self._samplers])
        self._records["uniforms"] = address_of(self._uniforms) + 8 * steps * np.arange(len(self._samplers))
        self._forced = [np.array(sampler.forced[sampler.n_accepted:], np.int64) for sampler in self._samplers]
        self._records["forced"], self._records["n_forced"] = zip(*((address_of(ids), len(ids)) for ids in self._forced),
                                                                 strict=True)
        return self._records
