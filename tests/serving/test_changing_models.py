"""A model that is replaced, cut short or taken away while it serves: its weights, old or new, or a clean 503 (F3)."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .models import characters
from .server import BIAS, Reply, Server, text_of, until

ASKED = {"max_tokens": 12, "temperature": 0, "logit_bias": BIAS}
FILES = ["model.safetensors", "config.json", "tokenizer.json"]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("versions")
    return [characters(folder / str(seed), seed) for seed in (1, 2)]


@pytest.fixture
def served(versions: list[Path], tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    folder = shutil.copytree(versions[0], tmp_path / "model")
    with Server(folder) as server:
        yield server, folder


@pytest.fixture(scope="module")
def texts(versions: list[Path]) -> list[str]:
    """What each version writes."""
    import tinylm

    settings = {"max_tokens": 12, "greedy": True, "logit_bias": {"#2": -100}}
    return [tinylm.load(folder).generate("a", **settings) for folder in versions]


def ask(server: Server) -> Reply:
    return server.ask("/v1/completions", server.fields(**ASKED))


def says(server: Server, text: str) -> bool:
    reply = ask(server)
    return reply.status == 200 and reply.json["choices"][0]["text"] == text


def put(version: Path, folder: Path) -> None:
    """In one go, as a run does that replaces a model."""
    new, old = folder.with_name("new"), folder.with_name("old")
    shutil.copytree(version, new)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def cut(folder: Path, chance: random.Random) -> None:
    file = folder / chance.choice(FILES)
    os.truncate(file, int(chance.random() * file.stat().st_size))


def garble(folder: Path, chance: random.Random) -> None:
    """Over the old bytes, in the same file."""
    file = folder / chance.choice(FILES)
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 255
    with open(file, "r+b") as opened:
        opened.write(data)


def lose(folder: Path, chance: random.Random) -> None:
    (folder / chance.choice(FILES)).unlink()


def mix(folder: Path, _: random.Random) -> None:
    """The settings of another model beside these weights."""
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"n_layers": 2', '"n_layers": 3'))


def grow(folder: Path, _: random.Random) -> None:
    with open(folder / "model.safetensors", "ab") as file:
        file.write(bytes(1000))


def remove(folder: Path, _: random.Random) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


HARM: list[Callable[[Path, random.Random], None]] = [cut, garble, lose, mix, grow, remove, cut]


def assert_survives(server: Server, folder: Path, versions: list[Path], texts: list[str], times: int) -> None:
    chance = random.Random(times)
    for number in range(times):
        HARM[number % len(HARM)](folder, chance)
        for _ in range(2):
            reply = ask(server)
            if reply.status == 200:
                assert reply.json["choices"][0]["text"] in texts or HARM[number % len(HARM)] is garble
            else:
                assert (reply.status, reply.error["type"]) == (503, "server_error"), reply
                assert str(folder) not in reply.error["message"]
        put(versions[number % 2], folder)
        until(lambda number=number: says(server, texts[number % 2]), 20)
    assert "Traceback" not in server.log


def test_harm_done_fifty_times(served: tuple[Server, Path], versions: list[Path], texts: list[str]) -> None:
    assert_survives(*served, versions, texts, 50)


def test_a_text_keeps_the_weights_that_it_began_with(served: tuple[Server, Path], versions: list[Path],
                                                     texts: list[str]) -> None:
    server, folder = served
    asked = {"max_tokens": 4000, "seed": 1, "temperature": 1.0, "logit_bias": BIAS}
    expected = server.complete(**asked)["choices"][0]["text"]
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(text_of(server.stream(**asked))))
    reader.start()
    put(versions[1], folder)
    assert says(server, texts[1])
    reader.join()
    other = server.complete(**asked)["choices"][0]["text"]
    assert heard[0] in (expected, other)


def test_it_can_be_told_which_weights_wrote_a_text(served: tuple[Server, Path], versions: list[Path]) -> None:
    server, folder = served
    before = server.complete(**ASKED)["system_fingerprint"]
    assert server.complete(**ASKED)["system_fingerprint"] == before
    put(versions[1], folder)
    assert server.complete(**ASKED)["system_fingerprint"] != before


def test_requests_without_a_pause_while_models_change(served: tuple[Server, Path], versions: list[Path],
                                                      texts: list[str]) -> None:
    server, folder = served
    replies: list[Reply] = []
    ended = threading.Event()

    def keep_asking() -> None:
        while not ended.is_set():
            replies.append(ask(server))

    readers = [threading.Thread(target=keep_asking) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(10):
        put(versions[number % 2], folder)
        until(lambda number=number: says(server, texts[number % 2]), 20)
    ended.set()
    for reader in readers:
        reader.join()
    assert len(replies) > 20
    for reply in replies:
        assert reply.status == 503 or reply.json["choices"][0]["text"] in texts
    assert server.is_well()


def test_models_come_and_go_in_a_folder_of_them(versions: list[Path], tmp_path: Path, texts: list[str]) -> None:
    shutil.copytree(versions[0], tmp_path / "runs" / "one")
    with Server(tmp_path / "runs") as server:
        shutil.copytree(versions[1], tmp_path / "runs" / "two")
        assert [model["id"] for model in server.ask("/v1/models").json["data"]] == ["one", "two"]
        assert server.complete(**ASKED, model="two")["choices"][0]["text"] == texts[1]
        assert server.complete(**ASKED)["choices"][0]["text"] == texts[0]
        shutil.rmtree(tmp_path / "runs" / "two")
        assert server.ask("/v1/completions", server.fields(model="two")).status in (200, 404, 503)
        assert server.complete(**ASKED)["choices"][0]["text"] == texts[0]


@pytest.mark.parametrize("name", [".hidden", "a file", "no model", "a link to nowhere"])
@pytest.mark.needs_posix
def test_what_is_no_model_is_not_served(versions: list[Path], tmp_path: Path, name: str) -> None:
    shutil.copytree(versions[0], tmp_path / "runs" / "one")
    place = tmp_path / "runs" / name
    if name == ".hidden":
        shutil.copytree(versions[0], place)
    elif name == "a file":
        place.write_text("{}")
    elif name == "no model":
        place.mkdir()
    else:
        place.symlink_to("/no/such/place")
    with Server(tmp_path / "runs") as server:
        assert [model["id"] for model in server.ask("/v1/models").json["data"]] == ["one"]
        for asked in (name, f"../runs/{name}", str(place), "one/", "one/../one", "./one", "ONE", "one\0"):
            assert server.ask("/v1/completions", server.fields(model=asked)).status in (400, 404), asked
