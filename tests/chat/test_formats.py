"""Chat formats against their templates: what tinylm writes is what Jinja writes, and known templates are recognised."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.chat.conversations import as_text, random_conversations
from tinylm.chat.chat_format import FORMATS, ChatFormat
from tinylm.chat.conversation import Conversation
from tinylm.chat.fingerprints import FINGERPRINTS, find_format, fingerprint
from tinylm.chat.templates import jinja_template

SDIST = "llama-cpp-python==0.3.36"
FILES_OF_TEMPLATES = {"qwen2.5": "Qwen-Qwen2.5-7B-Instruct", "qwen3": "Qwen-Qwen3-0.6B"}
CONSTANTS = {"chatml": "CHATML", "llama3": "LLAMA3_INSTRUCT", "mistral-v0.1": "MISTRAL_INSTRUCT",
             "mistral-v0.2": "MIXTRAL_INSTRUCT"}


def jinja(template: str, conversation: Conversation) -> str:
    """What a template writes, by the settings that transformers has."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        messages=[message._asdict() for message in conversation], bos_token="<s>", eos_token="</s>",
        add_generation_prompt=conversation[-1].role == "user")


def check_writes(template: str, form: ChatFormat, **options: Any) -> None:
    for conversation in random_conversations(200, **options):
        assert jinja(template, conversation) == as_text(form, conversation, "<s>", "</s>"), (form.name, conversation)


@pytest.mark.parametrize("name", FORMATS)
def test_the_template_writes_what_the_format_writes(name: str) -> None:
    check_writes(jinja_template(FORMATS[name]), FORMATS[name], questions=False)


@pytest.mark.parametrize("name", FORMATS)
def test_a_template_of_tinylm_is_recognised(name: str) -> None:
    found = find_format(jinja_template(FORMATS[name]))
    assert found is not None
    assert jinja_template(found) == jinja_template(FORMATS[name])


def test_fingerprints_name_formats_that_are_there() -> None:
    assert set(FINGERPRINTS.values()) <= set(FORMATS)
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in FINGERPRINTS)


@pytest.mark.parametrize("changed", [" {}", "{}\r\n", "{}\n\n"])
def test_what_files_of_one_template_differ_in_does_not_matter(changed: str) -> None:
    template = jinja_template(FORMATS["smollm2"])
    assert fingerprint(changed.format(template)) == fingerprint(template)


def test_another_template_is_none_of_them() -> None:
    assert find_format(jinja_template(FORMATS["smollm2"]).replace("SmolLM", "Smol")) is None


@pytest.fixture(scope="module")
def vendored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of llama-cpp-python, which carry templates of other people's models."""
    folder = tmp_path_factory.mktemp("sdist")
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d",
                           str(folder), SDIST], capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"no registry of packages to download {SDIST} from: {done.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, [each for each in archive.getmembers() if re.search(
            r"templates/Qwen|llama_chat_format\.py|test-chat-template\.cpp", each.name)], filter="data")
    return next(folder.glob("*/"))


@pytest.fixture(scope="module")
def templates(vendored: Path) -> dict[str, str]:
    """Templates as their models have them, by the name of the format."""
    llama_cpp = vendored / "vendor" / "llama.cpp"
    found = {name: (llama_cpp / "models" / "templates" / f"{file}.jinja").read_text(encoding="utf-8")
             for name, file in FILES_OF_TEMPLATES.items()}
    constants = (vendored / "llama_cpp" / "llama_chat_format.py").read_text(encoding="utf-8")
    for name, constant in CONSTANTS.items():
        line = re.search(rf"^{constant}_CHAT_TEMPLATE = (.*)$", constants, re.MULTILINE)
        assert line is not None
        found[name] = ast.literal_eval(line[1])
    cases = (llama_cpp / "tests" / "test-chat-template.cpp").read_text(encoding="utf-8")
    case = re.search(r"v0\.2 \(mistralai 'v1'.*?template_str= \*/ (\".*?\"),\n", cases, re.DOTALL)
    assert case is not None
    return {**found, "mistral-v1": json.loads(case[1])}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES_OF_TEMPLATES, *CONSTANTS, "mistral-v1"])
def test_templates_of_others_are_recognised_and_write_the_same(name: str, templates: dict[str, str]) -> None:
    form = find_format(templates[name])
    assert form is FORMATS[name]
    own = re.sub(r"\{\{\s*raise_exception\(.*?\)\s*\}\}", "", templates[name])
    has_turn = "system" in form.turns or name == "mistral-v1"  # else a system text is an error there
    for conversation in random_conversations(200):
        if has_turn or conversation[0].role != "system":
            assert jinja(own, conversation) == as_text(form, conversation, "<s>", "</s>"), conversation
