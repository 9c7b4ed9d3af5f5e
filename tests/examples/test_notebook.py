"""The example notebook runs from its first cell to its last, and says what it should."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from tests.docs.test_readme import masked
from tests.examples.notebook_outputs import SHIPPED, executed, shown, with_outputs

EXPONENT = re.compile(r"(?<=\d)e-\d+")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The cells, after all of them ran."""
    return executed(tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def told(cells: list[dict[str, Any]]) -> str:
    """All that the cells printed and returned."""
    return "\n".join(shown(cell.get("outputs", ())) for cell in cells)


# The slow part is the fixture: one worker is to run it once.
pytestmark = pytest.mark.xdist_group("notebook")


@pytest.mark.parametrize("fact", [
    "<LanguageModel: 17,932 parameters, 12 tokens (word)>",
    "([1, 5, 9, 10, 11, 8, 2],\n ['<bos>', 'how', 'is', 'your', 'day', '?', '<eos>'],\n 'how is your day ?')",
    "'Hi' (word 1",
    "torch.Size([1, 7, 12])",
    "12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12 = 17932\n17932",
    "[('you', 0.9",
    "hello , how are → you ?",
    "hello , how is → your day ?",
    "how is → your day ?",
    "'your day ?'",
])
def test_the_notebook_shows(told: str, fact: str) -> None:
    assert fact in told


def test_only_without_the_mask_does_a_later_word_reach_back(told: str) -> None:
    changes = ast.literal_eval(next(line for line in told.splitlines() if line.startswith("{'with the mask'")))
    assert changes["with the mask"] < 1e-6 < 1e-2 < changes["without"]


def test_the_notebook_is_shipped_with_these_outputs(cells: list[dict[str, Any]]) -> None:
    """But for numbers, which are a little different on another machine."""
    shipped, made = json.loads(SHIPPED.read_text(encoding="utf-8")), with_outputs(cells)
    again = "run python -m tests.examples.notebook_outputs"
    assert [cell["source"] for cell in shipped["cells"]] == [cell["source"] for cell in made["cells"]], again
    assert alike(shipped) == alike(made), again


def alike(notebook: dict[str, Any]) -> list[list[str]]:
    return [[masked(EXPONENT.sub("", line)) for line in shown(cell.get("outputs", ())).splitlines()]
            for cell in notebook["cells"]]
