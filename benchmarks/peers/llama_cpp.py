"""llama.cpp, of the package xllamacpp, by the code of its server: greedy tokens a second of one text.

    python -m benchmarks.peers.llama_cpp FILE TOKENS THREADS
"""

from __future__ import annotations

import json
import os
import sys

TEXTS = 4


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the library prints is no answer
    import xllamacpp

    file, tokens, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.n_gpu_layers, params.n_parallel, params.n_ctx = 0, 1, tokens + 32
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    asked = {"prompt": "a", "n_predict": tokens, "ignore_eos": True, "samplers": ["top_k"], "top_k": 1}
    found = [server.handle_completions(asked)["timings"] for _ in range(TEXTS)]
    assert all(timings["predicted_n"] == tokens for timings in found), found
    json.dump({"value": round(max(timings["predicted_per_second"] for timings in found), 1)}, answers)
    answers.close()
    os._exit(0)  # the server's threads are not waited for


if __name__ == "__main__":
    main()
