"""A program: loads model folders that attack their reader, and listens to everything Python does meanwhile.

    python folders.py EVERY FOLDER

Takes every EVERY-th of the attacks. It prints one JSON object: the number of folders, how many of them loaded, and what
happened that must not.
"""

from __future__ import annotations

import io
import json
import marshal
import os
import pickle
import shutil
import socket
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from listener import Attack, attack_all
from models import SHAPES, small_model

import tinylm
from tinylm.errors import TinyLMError

FILES = ("config.json", "tokenizer.json", "model.safetensors")
CANARY = "somebody-ran-this"


# ---- code where data should be


class Bomb:
    """Whoever unpickles it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {outside() / CANARY}",)


def outside() -> Path:
    return Path(os.environ["OUTSIDE"])


def source() -> bytes:
    return f"open({str(outside() / CANARY)!r}, 'w').close()\n".encode()


def saved(save: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def shell() -> bytes:
    return f"#!/bin/sh\ntouch {outside() / CANARY}\n".encode()


def yaml() -> bytes:
    return f"!!python/object/apply:os.system ['touch {outside() / CANARY}']\n".encode()


def program() -> bytes:
    def write(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("__main__.py", source())

    return saved(write)


CODE: dict[str, Callable[[], bytes]] = {
    **{f"pickle {number}": partial(pickle.dumps, Bomb(), number) for number in range(pickle.HIGHEST_PROTOCOL + 1)},
    "torch": lambda: saved(lambda file: torch.save({"embed.weight": Bomb()}, file)),
    "old torch": lambda: saved(lambda file: torch.save(Bomb(), file, _use_new_zipfile_serialization=False)),
    "numpy": lambda: saved(lambda file: np.save(file, np.array([Bomb()], object), allow_pickle=True)),
    "marshal": lambda: marshal.dumps(compile(source(), "x", "exec")),
    "Python": source, "zipped Python": program,
    "shell": shell, "YAML": yaml,
    "template": lambda: b"{{ cycler.__init__.__globals__.os.system('true') }}",
    "XML": lambda: b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
}
NAMES = (
    "sitecustomize.py", "usercustomize.py", "conftest.py", "__init__.py", "__main__.py", "tinylm.py", "torch.py",
    "numpy.py", "json.py", "tokenizers.py", "safetensors.py", "pydantic.py", "modeling.py", "configuration.py",
    "tokenization.py", "setup.py", "x.pth", "pytorch_model.bin", "model.pt", "optimizer.pt", "training_args.bin",
    "model.ckpt", "metrics.jsonl", "samples.jsonl", "README.md", "tokenizer_config.json", "chat_template.jinja",
    "vocab.json", "config.yaml", "checkpoints", "generation_config.json", ".lock",
)


def write(name: str, content: Callable[[], bytes], folder: Path) -> None:
    (folder / name).write_bytes(content())


def code(files: Sequence[str]) -> Iterator[tuple[str, Attack]]:
    for (kind, content), name in product(CODE.items(), files):
        yield f"{kind} as {name}", partial(write, name, content)
    for name in NAMES:
        yield f"code in {name}", partial(write, name, source if name.endswith("py") else CODE["pickle 2"])


# ---- files that are something else


def link(name: str, target: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(target)


def fifo(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def unix_socket(name: str, folder: Path) -> None:
    (folder / name).unlink()
    here = os.getcwd()
    os.chdir(folder)  # the name of a socket may only be short
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(name)
    os.chdir(here)


def directory(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def sparse(name: str, folder: Path) -> None:
    os.truncate(folder / name, 1 << 40)


def links(files: Sequence[str]) -> Iterator[tuple[str, Attack]]:
    for name in files:
        for target in ("/etc/passwd", "/dev/zero", "/dev/null", "/dev/random", "/proc/self/environ", "/proc/self/maps",
                       "/proc/self/mem", "/nowhere", "..", name, f"../outside/{name}"):
            yield f"{name} is a link to {target}", partial(link, name, target)
        for attack in ((fifo, unix_socket, directory, sparse) if os.name != "nt" else (directory, sparse)):
            yield f"{name} is a {attack.__name__}", partial(attack, name)


# ---- settings

FIELDS = ("format", "model.d_model", "model.vocab_size", "model.context_length", "model.n_layers", "model.n_heads",
          "model.rope_theta", "model.mlp", "data.source", "data.tokenizer", "sample.stop", "sample.seed",
          "model.__class__", "__init__")
SETTINGS: tuple[Any, ...] = (
    10**9, 10**18, -(10**9), 10**4000, 1e308, float("nan"), "{0.__init__.__globals__}", "%s%n%x", "__import__('os')",
    "../../../../etc/passwd", "http://127.0.0.1:9/x", "\0", {"__reduce__": ["os.system", "true"]}, [[[[[]]]]],
    "x" * 10**5,
)


def change(path: str, value: Any, data: dict[str, Any]) -> None:
    *sections, field = path.split(".")
    for section in sections:
        data = data[section]
    data[field] = value


def rewrite(name: str, path: str, value: Any, folder: Path) -> None:
    data = json.loads((folder / name).read_text())
    change(path, value, data)
    (folder / name).write_text(json.dumps(data))


def settings(fields: Sequence[str]) -> Iterator[tuple[str, Attack]]:
    for field, value in product(fields, SETTINGS):
        yield f"{field} = {str(value)[:40]}", partial(rewrite, "config.json", field, value)
    for opening in ("[", '{"model":', '{"model":{"a":'):
        yield f"config.json of {opening}", partial(write, "config.json", (opening * 100_000).encode)


# ---- tokenizers

EXPLODING = {"Regex": "(a+)+(a+)+(a+)+$"}
PARTS: tuple[tuple[str, Any], ...] = (
    ("model.type", "Unigram"), ("model.type", "WordPiece"), ("model.type", "os.system"), ("model", None),
    ("model.vocab", {f"w{n}": n for n in range(200_000)}), ("model.vocab", {"<pad>": 10**9}),
    ("model.vocab", [["<pad>", 0.0]]), ("model.merges", [["a", "b"]] * 100_000), ("model.merges", ["a b c d"]),
    ("model.dropout", 2.0), ("model.unk_token", "\x1b]0;x\x07"), ("model.byte_fallback", True),
    ("model.continuing_subword_prefix", "x" * 10**5), ("normalizer", {"type": "Precompiled",
                                                                    "precompiled_charsmap": "AAAAAAAA"}),
    ("normalizer", {"type": "Replace", "pattern": EXPLODING, "content": "a" * 10**5}),
    ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFKD"}] * 10_000}),
    ("pre_tokenizer", {"type": "Split", "pattern": EXPLODING, "behavior": "Removed", "invert": False}),
    ("pre_tokenizer", {"type": "Custom", "code": "import os"}),
    ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}),
    ("decoder", {"type": "Replace", "pattern": EXPLODING, "content": "x"}), ("decoder", {"type": "Custom"}),
    ("post_processor", {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 10_000,
                        "pair": [], "special_tokens": {}}),
    ("added_tokens", [{"id": 2, "content": "a", "single_word": False, "lstrip": True, "rstrip": True,
                       "normalized": False, "special": True}]),
    ("added_tokens", [{"id": n, "content": f"t{n}"} for n in range(50_000)]),
    ("truncation", {"max_length": 0, "strategy": "LongestFirst", "stride": 1 << 40, "direction": "Right"}),
    ("padding", {"strategy": {"Fixed": 1 << 40}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0,
                 "pad_type_id": 0, "pad_token": "x"}),
    ("auto_map", {"AutoTokenizer": ["modeling.Bomb", None]}), ("chat_template", "{{ ''.__class__ }}"),
    ("version", "9.9"),
)


def tokenizer_parts() -> Iterator[tuple[str, Attack]]:
    for part, value in PARTS:
        yield f"tokenizer.json: {part} = {str(value)[:60]}", partial(rewrite, "tokenizer.json", part, value)


# ---- headers of safetensors files

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
LENGTHS = (0, 1, 7, 1 << 20, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1)
HEADERS: dict[str, Any] = {
    "a list": [], "a number": 1, "nothing": {}, "no fields": {"embed.weight": {}},
    "overlapping": {"a": ENTRY, "b": ENTRY}, "nested": {"a": {"b": {"c": ENTRY}}},
    "a hole": {"a": ENTRY, "b": {**ENTRY, "data_offsets": [16, 24]}},
    "metadata of lists": {"__metadata__": {"format": [1]}, "a": ENTRY},
    "much metadata": {"__metadata__": {f"key{n}": "x" * 100 for n in range(20_000)}},
    "many tensors": {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)},
    "a name that paints": {"\x1b[31m\x1b[2J": ENTRY}, "a long name": {"x" * 10**6: ENTRY},
    "a name with a path": {"../../x": ENTRY},
    **{f"shape {shape}": {"a": {**ENTRY, "shape": shape}}
       for shape in ([-2], [1 << 62, 1 << 62], [1 << 63, 0], ["2"], 2, None, [2.0])},
    "a thousand axes": {"a": {**ENTRY, "shape": [2] + [1] * 999}},
    **{f"offsets {offsets}": {"a": {**ENTRY, "data_offsets": offsets}}
       for offsets in ([8, 0], [-8, 0], [0, 1 << 63], [0], [0, 8, 16], "08", [0, 1 << 40])},
    **{f"dtype {dtype}": {"a": {**ENTRY, "dtype": dtype}}
       for dtype in ("F4", "F8_E8M0", "C64", "I64", "BOOL", "object", "|O", None, ["F32"])},
}


def pack(header: Any) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


def claim(length: int, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])


def headers() -> Iterator[tuple[str, Attack]]:
    for length in LENGTHS:
        yield f"a header of {length} bytes", partial(claim, length)
    for name, header in HEADERS.items():
        yield f"a header: {name}", partial(write, "model.safetensors", partial(pack, header))
    deep = struct.pack("<Q", 500_000) + b'{"a":' * 100_000
    yield "a deep header", partial(write, "model.safetensors", lambda: deep)


# ---- all of them


def load(folder: Path) -> str:
    """Returns "" when the model answers, else our error."""
    try:
        tinylm.load(folder).predict("how are")
    except TinyLMError as error:
        return str(error)
    return ""


def run(every: int, scratch: Path) -> dict[str, Any]:
    bases = [small_model(scratch / kind, kind) for kind in SHAPES]
    shutil.copytree(bases[1], outside())
    attacks = [*code(FILES), *links(FILES), *settings(FIELDS), *tokenizer_parts(), *headers()][::every]
    return attack_all([(bases[number % 3], *each) for number, each in enumerate(attacks)], load, scratch)


if __name__ == "__main__":
    place = Path(sys.argv[2]).resolve()
    os.environ["OUTSIDE"] = str(place / "outside")
    print(json.dumps(run(int(sys.argv[1]), place)))
