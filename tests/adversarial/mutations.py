"""A program: damages model folders and tries to use them, one case after another.

    python mutations.py FIRST LAST FOLDER

Case n is always the same damage. A line of FOLDER/FIRST.log is written before each case, so that whoever reads it
knows which one killed the process. Prints one JSON object: the cases, what became of them, and what was wrong.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models import SHAPES, small_model

from tinylm import cli
from tinylm.system.memory import peak_memory_bytes

FILES = ("config.json", "tokenizer.json", "model.safetensors")
MOST_SECONDS, MOST_MEMORY, HANGING = 1.0, 64 << 20, 60
COMMANDS = (["inspect", "--json"], ["tokenize", "how are you ?", "--json"], ["predict", "how are", "--json"],
            ["evaluate", "--json"])
JUDGED = 20
"""Of the models that can still be used, every so many-th is evaluated: that takes a second, for it writes texts."""


# ---- damage to bytes


def flip_bits(data: bytearray, random: random.Random) -> None:
    for _ in range(random.choice((1, 1, 1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def truncate(data: bytearray, random: random.Random) -> None:
    del data[random.choice((0, 1, 7, 8, len(data) - 1, random.randrange(len(data)))):]


def insert(data: bytearray, random: random.Random) -> None:
    at, size = random.randrange(len(data) + 1), random.choice((1, 2, 8, 100, 10_000))
    data[at:at] = random.choice((random.randbytes(size), bytes(size), b"[" * size, b"9" * size, b'{"a":' * size))


def delete(data: bytearray, random: random.Random) -> None:
    at = random.randrange(len(data))
    del data[at:at + random.choice((1, 2, 8, 100))]


def swap(data: bytearray, random: random.Random) -> None:
    size = random.randrange(1, max(2, len(data) // 4))
    a, b = sorted((random.randrange(len(data) - size), random.randrange(len(data) - size)))
    b = max(b, a + size)
    data[a:a + size], data[b:b + size] = data[b:b + size], data[a:a + size]


def overwrite(data: bytearray, random: random.Random) -> None:
    at, size = random.randrange(len(data)), random.choice((1, 2, 4, 8))
    data[at:at + size] = random.choice((b"\xff", b"\x00", b"\x7f", b"\x80", b"9", b'"')) * size


def repeat(data: bytearray, random: random.Random) -> None:
    at, size = random.randrange(len(data)), random.choice((8, 100, 1000))
    data[at:at] = data[at:at + size] * random.choice((1, 2, 50))


# ---- damage to what JSON says

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, -1, 7, 8, 1000, 1 << 31, 1 << 63, 1 << 64, 10**9, 10**30, 10**4000, 0.5, 1e-308,
    1e308, 1e-9, float("nan"), float("inf"), -float("inf"), "", "x", "8", "hello", "none", "\ud800", "\0", "\x1b[2J",
    "../../../etc/passwd", "/dev/zero", "{0.__class__}", "x" * 100_000, [], [0], [[]], {}, {"__class__": "x"},
    {"vocab_size": 3},
)


def deep(levels: int, opening: str = "[", closing: str = "]") -> Any:
    return json.loads(opening * levels + closing * levels)


def places(tree: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found = [] if found is None else found
    for key in (tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()):
        found.append((tree, key))
        places(tree[key], found)
    return found


def change_tree(tree: Any, random: random.Random) -> Any:
    found = places(tree)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        # Half of the changes near the root: a vocabulary would otherwise get nearly all.
        near = [place for place in found if place[0] is tree or any(place[0] is child for child in tree.values())]
        container, key = random.choice(near if random.random() < 0.5 else found)
        what = random.randrange(6)
        with contextlib.suppress(KeyError, IndexError):
            if what < 3:
                container[key] = random.choice((*VALUES, deep(900), deep(20)))
            elif what == 3:
                del container[key]
            elif what == 4:
                other, place = random.choice(found)
                container[key], other[place] = other[place], container[key]
            elif isinstance(container, dict):
                container[random.choice(("__class__", "__init__", "self", "_", key + "x", "\x1b[31m"))] = \
                    container.pop(key)
    return tree


def dump(tree: Any) -> bytes:
    try:
        return json.dumps(tree).encode()
    except (RecursionError, ValueError):  # a value was put into itself by a swap
        return b"[" * 100_000


def change_json(data: bytearray, random: random.Random) -> None:
    data[:] = dump(change_tree(json.loads(data), random))


def change_header(data: bytearray, random: random.Random) -> None:
    """Of a safetensors file: its length, its JSON, or the data under it."""
    size = int.from_bytes(data[:8], "little")
    if random.random() < 0.2:
        wrong = random.choice((0, 1, size - 1, size + 1, size * 2, len(data), 1 << 31, 1 << 63, (1 << 64) - 1))
        data[:8] = wrong.to_bytes(8, "little")
        return
    header = dump(change_tree(json.loads(data[8:8 + size]), random))
    data[:8 + size] = len(header).to_bytes(8, "little") + header


def damage(name: str, data: bytearray, random: random.Random) -> str:
    """Changes the bytes of a file in place. Returns what was done."""
    bytewise = (flip_bits, truncate, insert, delete, swap, overwrite, repeat)
    knowing = change_header if name.endswith(".safetensors") else change_json
    how: Callable[[bytearray, Any], None] = knowing if random.random() < 0.5 else random.choice(bytewise)
    how(data, random)
    return how.__name__


# ---- use


def use(folder: Path, judge: bool = True) -> str:
    """The commands that read a folder. Returns "used", or "refused" where one said why not; anything else is raised."""
    outcome = "used"
    for command, *arguments in COMMANDS:
        if command == "evaluate" and outcome == "used" and not judge:
            return outcome
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([command, str(folder), *arguments])
        if code == 0:
            json.loads(out.getvalue(), parse_constant=not_json)
            continue
        message = err.getvalue()
        assert code == 2, (command, code)
        assert message.startswith("tinylm: "), message[:200]
        assert len(message) < 2000, f"{command}: a message of {len(message)} characters: {message[:200]}"
        assert message.rstrip("\n").isprintable(), f"{command}: {message!r}"
        outcome = "refused"
    return outcome


def not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def run(first: int, last: int, scratch: Path) -> dict[str, Any]:
    bases = {kind: small_model(scratch / f"{first}-{kind}", kind) for kind in SHAPES}
    folder = scratch / f"{first}-case"
    for base in bases.values():
        assert use(base) == "used"
    outcomes, failures, slowest = Counter[str](), [], 0.0
    start = peak = peak_memory_bytes()
    with open(scratch / f"{first}.log", "w") as log:
        for case in range(first, last):
            random_ = random.Random(f"mutation {case}")
            name, kind = FILES[case % 3], list(bases)[case // 3 % 3]
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(bases[kind], folder)
            data = bytearray((folder / name).read_bytes())
            label = f"case {case}: {kind}, {name}, {damage(name, data, random_)}"
            (folder / name).write_bytes(data)
            print(label, file=log, flush=True)
            faulthandler.dump_traceback_later(HANGING, exit=True)
            began, outcome = time.process_time(), "failed"
            try:
                outcome = use(folder, judge=case % JUDGED == 0)
            except BaseException as error:
                failures.append(f"{label}: {type(error).__name__}: {str(error)[:300]}")
            seconds = time.process_time() - began
            faulthandler.cancel_dump_traceback_later()
            outcomes[outcome] += 1
            if outcome == "refused":
                slowest = max(slowest, seconds)
            if outcome == "refused" and seconds > MOST_SECONDS:
                failures.append(f"{label}: was refused after {seconds:.2f} s")
            if peak_memory_bytes() > max(peak, start + MOST_MEMORY + 2 * len(data)):
                failures.append(f"{label}: the memory grew by {(peak_memory_bytes() - start) >> 20} MB")
            peak = max(peak, peak_memory_bytes())
    return {"cases": last - first, "outcomes": outcomes, "slowest_refusal": slowest,
            "memory_growth": peak - start, "failures": failures}


if __name__ == "__main__":
    sys.stdin = io.StringIO()
    place = Path(sys.argv[3])
    os.environ["TINYLM_CACHE"] = str(place / "cache")
    os.chdir(place)
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), place)))
