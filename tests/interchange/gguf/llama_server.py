"""The code of llama-server, of the package xllamacpp, in a process of its own: `python llama_server.py FILE [ADAPTER]`
answers requests, JSON from standard input, in JSON on standard output."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in sys.argv[2:]]
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_gpu_layers, params.warmup, params.n_parallel = 0, False, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)

    def render(request: dict[str, Any]) -> Any:
        url = f"{server.listening_address.rstrip('/')}/apply-template"
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(request).encode(), headers)) as answer:
            return json.load(answer)

    handlers = {"completion": server.handle_completions, "chat": server.handle_chat_completions, "template": render}
    found = [handlers[kind](request) for kind, request in json.load(sys.stdin)]
    json.dump(found, answers)
    answers.close()
    os._exit(0)  # the server's threads are not waited for


if __name__ == "__main__":
    main()
