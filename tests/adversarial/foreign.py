"""A program: imports models that attack their reader, and listens to everything Python does meanwhile.

    python foreign.py EVERY FOLDER

Takes every EVERY-th of the attacks, on folders for transformers and on GGUF files. It prints one JSON object: the
number of models, how many of them were imported, and what happened that must not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import gguf_files
import hugging_face_folders
from folders import code, headers, links, outside, rewrite, settings, tokenizer_parts, write
from listener import Attack, attack_all

from tinylm.errors import TinyLMError
from tinylm.interchange.importing import import_model

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
GGUF = "model.gguf"
INDEX = "model.safetensors.index.json"
FIELDS = ("model_type", "hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads", "eos_token_id",
          "max_position_embeddings", "rope_theta", "hidden_act", "rms_norm_eps", "architectures", "auto_map",
          "custom_pipelines", "torch_dtype", "__class__")
REMOTE = {"AutoConfig": "configuration.Bomb", "AutoModelForCausalLM": "modeling.Bomb"}
"""Fields by which transformers, told to trust a folder, runs code of it."""
TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch ran') }}{% for x in range(10**9) %}{% endfor %}"
NAMES = ("../outside/model.safetensors", "/etc/passwd", "/dev/zero", "..", ".", "", "model.bin", "a/b.safetensors",
         "C:\\x.safetensors", "//host/x.safetensors", "http://127.0.0.1:9/x.safetensors", "\0.safetensors",
         "x" * 10_000 + ".safetensors", "\ud800.safetensors", "\x1b[2J.safetensors", "config.json")


def further() -> Iterator[tuple[str, Attack]]:
    """Attacks on what transformers reads and tinylm's model folder has not."""
    for name, field in product(FILES, ("auto_map", "custom_pipelines", "trust_remote_code", "quantization_config")):
        yield f"{name}: {field}", partial(rewrite, name, field, REMOTE)
    for name, field in product(("tokenizer_config.json", "generation_config.json", "config.json"),
                               ("chat_template", "tokenizer_class", "tokenizer_file", "_name_or_path")):
        yield f"{name}: {field}", partial(rewrite, name, field, TEMPLATE)
    yield "chat_template.jinja", partial(write, "chat_template.jinja", TEMPLATE.encode)


def indices() -> Iterator[tuple[str, Attack]]:
    """Attacks by the list of shards."""
    for name in NAMES:
        yield f"a shard is {name[:40]!r}", partial(_name_shard, name)
    yield "the shards are shards", partial(_name_shard, "model-00001-of-00002.safetensors")
    for value in ([], {}, None, "x", {"a": {"b": 1}}, {str(n): "x.safetensors" for n in range(100_000)}):
        yield f"weight_map = {str(value)[:40]}", partial(rewrite, INDEX, "weight_map", value)


def _name_shard(name: str, folder: Path) -> None:
    data = json.loads((folder / INDEX).read_text())
    data["weight_map"]["model.norm.weight"] = name
    (folder / INDEX).write_text(json.dumps(data))


def gguf_attacks() -> Iterator[tuple[str, Attack]]:
    """Code and other files in the place of a GGUF file, and code beside it. A folder in its place is another source."""
    yield from code([GGUF])
    yield from (each for each in links([GGUF]) if not each[0].endswith(("a link to ..", "a directory")))
    yield "a cut file", partial(_cut, 100)
    yield "a longer file", partial(_cut, 1 << 40)


def _cut(length: int, folder: Path) -> None:
    os.truncate(folder / GGUF, length)


def load(imported: Path, folder: Path) -> str:
    """Returns "" when the model was imported, else our error. OUT is a new folder each time."""
    out = imported / str(len(os.listdir(imported)))
    try:
        import_model(folder / GGUF if os.path.lexists(folder / GGUF) else folder, out)
    except TinyLMError as error:
        return str(error)
    return ""


def run(every: int, scratch: Path) -> dict[str, Any]:
    watched, imported = scratch / "watched", scratch / "imported"
    watched.mkdir()
    imported.mkdir()
    shutil.copytree(hugging_face_folders.make(watched)[0], outside())
    llama, qwen2, gpt2 = (watched / kind for kind in ("llama", "qwen2", "gpt2"))
    (watched / "gguf").mkdir()
    gguf_files.make(watched / "gguf")[0].rename(watched / "gguf" / GGUF)
    whole = [*code((*FILES, "model.safetensors")), *links((*FILES, "model.safetensors")), *settings(FIELDS),
             *tokenizer_parts(), *headers(), *further()]
    attacks = [*((llama if number % 2 else gpt2, *each) for number, each in enumerate(whole)),
               *((qwen2, *each) for each in (*links([INDEX]), *indices())),
               *((watched / "gguf", *each) for each in gguf_attacks())]
    return attack_all(attacks[::every], partial(load, imported), watched, imported)


if __name__ == "__main__":
    place = Path(sys.argv[2]).resolve()
    os.environ["OUTSIDE"] = str(place / "outside")
    print(json.dumps(run(int(sys.argv[1]), place)))
