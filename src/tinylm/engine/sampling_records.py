"""Records that tell the kernel how to sample the ids of each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.engine.records import SAMPLING
from tinylm.jit.arrays import address_of
from tinylm.sampling.sampler import Sampler


class SamplingRecords:
    """The sampling records of the texts that a call writes.

    Args:
        samplers: one for each text. The kernel brings their counts up to date, `Sampler.accept` their positions.
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
        """The records for the next `steps` ids of each text. They are valid until the next call."""
        self._uniforms = np.array([sampler.uniforms(steps) for sampler in self._samplers])
        self._records["uniforms"] = address_of(self._uniforms) + 8 * steps * np.arange(len(self._samplers))
        self._forced = [np.array(sampler.forced[sampler.n_accepted:], np.int64) for sampler in self._samplers]
        self._records["forced"], self._records["n_forced"] = zip(
            *((address_of(ids), len(ids)) for ids in self._forced), strict=True)
        return self._records
