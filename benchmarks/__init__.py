"""Benchmarks: tinylm beside what people would otherwise use, each side in processes of its own.

    python -m benchmarks                    the list
    python -m benchmarks NAME --help        how to run one
    python -m benchmarks NAME ... -- ...    what follows the lone -- goes to `tinylm train`

They run in the repository's root, with the Python that has tinylm. The last line printed is one JSON object.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()
"""When the process began, nearly: nothing large is imported before this line."""
