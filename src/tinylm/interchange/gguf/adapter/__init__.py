"""Adapters in GGUF: low-rank additions (model/lora.py), which llama.cpp adds to a file of their base.

    general.architecture       that of the base, which llama.cpp compares
    general.type, adapter.type "adapter", "lora"
    adapter.lora.alpha         the scale of a product B A is alpha / rank
    NAME.lora_a, NAME.lora_b   A (R, I) and B (O, R) of the matrix NAME; the rows of B are in the order of its rows

The base has its name in general.base_model.0.name, and the fingerprint of its weights as its version.
Source: src/llama-adapter.cpp of llama.cpp.
"""
