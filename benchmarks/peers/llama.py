"""A Llama of transformers with random weights; and, as a program, one that was saved and writes:
`python -m benchmarks.peers.llama FOLDER ID...` prints the id that follows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch


def make_llama(shape: dict[str, Any]) -> Any:
    """Of a shape in tinylm's words, ready to write."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=shape["vocab_size"], hidden_size=shape["d_model"], num_hidden_layers=shape["n_layers"],
        num_attention_heads=shape["n_heads"], num_key_value_heads=shape.get("n_kv_heads"),
        intermediate_size=shape["d_mlp"], max_position_embeddings=shape["context_length"],
        tie_word_embeddings=shape.get("tied_embeddings", False))).eval()


def quickest(work: Callable[[], object]) -> float:
    """Its seconds on one core or on all, whichever is quicker: beside another program its threads wait for each other.
    """
    from benchmarks.harness import seconds_of  # which the program below does without

    taken = []
    for threads in (torch.get_num_threads(), 1, torch.get_num_threads(), 1):
        torch.set_num_threads(threads)
        taken.append(seconds_of(work))
    return min(taken)


def main() -> None:
    """The shortest program that does it."""
    from transformers import AutoModelForCausalLM

    folder, *ids = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(folder)
    written = model.generate(torch.tensor([[int(id) for id in ids]]), max_new_tokens=1, do_sample=False, pad_token_id=0)
    print(int(written[0, -1]), flush=True)


if __name__ == "__main__":
    main()
