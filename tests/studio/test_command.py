"""The command: an address for this machine alone, a browser unless it is told not to, and a stop in good order."""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path

import psutil
import pytest

from tests.serving.server import until
from tests.studio.studio import Studio
from tinylm.cli import main
from tinylm.cli import studio as command
from tinylm.studio import server


def test_it_listens_at_this_machine_alone(studio: Studio) -> None:
    listening = [each.laddr.ip for each in psutil.Process(studio.process.pid).net_connections()
                 if each.status == psutil.CONN_LISTEN]
    assert listening
    assert all(ipaddress.ip_address(each).is_loopback for each in listening)


def test_each_has_a_key_of_its_own_makes_its_folder_and_stops_at_ctrl_c(studio: Studio, tmp_path: Path) -> None:
    with Studio(tmp_path / "new" / "models") as other:
        assert (tmp_path / "new" / "models").is_dir()
        assert other.get("/api/models") == {"models": []}
        assert len(other.key) >= 32
        assert (other.port, other.key) != (studio.port, studio.key)
        assert other.ask("/api/models", headers={"Authorization": f"Bearer {studio.key}"}).status == 401
        assert other.stop() == (130 if os.name != "nt" else 1)
        assert other.log == ""


def test_a_port_that_is_taken_is_one_sentence(studio: Studio, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studio", str(tmp_path), "--no-browser", "--port", str(studio.port)]) == 2
    assert f"127.0.0.1 port {studio.port}: cannot be listened at" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    (["MODEL/hello"], "is a model, and a studio shows a folder of models. Give the folder that it is in"),
    (["MODEL/hello/config.json"], "is no folder that can be written"),
    (["MODEL", "--port", "70000"], "70000 is no port"), (["MODEL", "two"], "is one argument too many"),
    (["MODEL", "--host", "0.0.0.0"], "there is no option '--host'")])
def test_a_mistake_is_one_sentence(two_models: Path, words: list[str], said: str,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    given = [word.replace("MODEL", str(two_models)) for word in words]
    assert main(["studio", *given, "--no-browser"]) == 2
    assert said in capsys.readouterr().err


def test_a_browser_is_opened_with_the_address_unless_told_not_to(monkeypatch: pytest.MonkeyPatch,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []
    address = "http://127.0.0.1:1/?token=x"

    def ready_at_once(_folder: Path, _port: int, ready: object) -> int:
        ready(address)  # type: ignore[operator]
        return 0

    monkeypatch.setattr(server, "studio", ready_at_once)
    for found in (True, False):
        monkeypatch.setattr("webbrowser.open", lambda url, found=found: opened.append(url) or found)
        for no_browser in (True, False):
            arguments = argparse.Namespace(folder="runs", port=0, no_browser=no_browser, json=False)
            assert command.run(arguments) == 0
            until(lambda no_browser=no_browser: no_browser or bool(opened), seconds=10)
            assert opened == ([] if no_browser else [address])
            opened.clear()
    until(lambda: "open the address by hand" in capsys.readouterr().err, seconds=10)
