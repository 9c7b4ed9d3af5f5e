"""What an older transformers makes of exported folders, as JSON: run with that package on the path.

    python older_transformers.py MODELS TOKENIZERS

MODELS holds exported folders, each with a file ids.json of prompts; TOKENIZERS holds folders with strings.json, and
some with scalars.json, strings of which the SHA-256 of their ids is told, and some with conversations.json.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def open_model(folder: Path) -> dict[str, object]:
    """The logits of the first prompt, and 64 greedy ids after each."""
    model, found = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model.generation_config.eos_token_id = None
    prompts = [torch.tensor([ids]) for ids in json.loads((folder / "ids.json").read_text())]
    with torch.no_grad():
        logits = model(prompts[0]).logits[0].tolist()
    written = [model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=64)[0].tolist()
               for ids in prompts]
    return {"class": type(model).__name__, "problems": [str(name) for names in found.values() for name in names],
            "logits": logits, "written": written}


def open_tokenizer(folder: Path) -> dict[str, object]:
    """The ids of each string, the text of those ids, those of conversations, and what a prompt gives to `generate`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(json.loads((folder / "strings.json").read_text()))["input_ids"]
    more = folder / "scalars.json"
    scalars = tokenizer(json.loads(more.read_text()))["input_ids"] if more.exists() else []
    said = folder / "conversations.json"
    conversations = json.loads(said.read_text()) if said.exists() else []
    rendered = [tokenizer.apply_chat_template(each, add_generation_prompt=True) for each in conversations]
    told = hashlib.sha256(json.dumps(scalars, separators=(",", ":")).encode()).hexdigest()
    return {"conversations": rendered, "scalars": told,
            "ids": ids, "texts": [tokenizer.decode(each, skip_special_tokens=True) for each in ids],
            "inputs": sorted(tokenizer("a"))}


def main(models: Path, tokenizers: Path) -> None:
    print(json.dumps({
        "version": transformers.__version__,
        "models": {folder.name: open_model(folder) for folder in sorted(models.iterdir())},
        "tokenizers": {folder.name: open_tokenizer(folder) for folder in sorted(tokenizers.iterdir())}}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
