"""Special tokens around the ids of a prompt: which are left out, which stay, and what is said of them."""

from __future__ import annotations

import pytest

from tinylm.text.prompts import is_ids, prompt_ids
from tinylm.text.tokenizer import Tokenizer

A_B = Tokenizer.train("char", ["ab"])
"""<pad> 0, <bos> 1, <eos> 2, a 3, b 4."""


@pytest.mark.parametrize(("ids", "given", "said"), [
    ([1, 3, 4], [1, 3, 4], []), ([3, 4], [3, 4], []), ([1, 3, 4, 2], [1, 3, 4], ["<eos>"]),
    ([3, 4, 2], [3, 4], ["<eos>"]), ([1, 3, 2, 1, 4], [1, 3, 2, 1, 4], []),
    ([1, 3, 2, 1, 4, 2], [1, 3, 2, 1, 4], ["<eos>"]),
    ([0, 0, 1, 3], [1, 3], ["<pad>"]), ([1, 3, 2, 0, 0], [1, 3], ["<eos>", "<pad>"]), ([1, 3, 0], [1, 3], ["<pad>"]),
    ([1, 1, 3], [1, 3], ["more than once"]), ([1, 2], [1], ["<eos>"]), ([2], [], ["<eos>"]), ([1], [1], []),
    ([1, 3, 2, 2], [1, 3], ["<eos>"]), ([], [], [])], ids=str)
def test_a_text_goes_on(ids: list[int], given: list[int], said: list[str]) -> None:
    found = prompt_ids(A_B, ids)
    assert found.given == given
    assert found.ids == [1, *(given[1:] if given[:1] == [1] else given)]
    assert len(found.left_out) == len(said)
    assert all(word in sentence for word, sentence in zip(said, found.left_out, strict=True))


@pytest.mark.parametrize(("prompt", "holds"), [
    ([1, 2], True), ((3,), True), ("ab", False), ("", False), ([], False), (["a"], False), ([[1]], False),
    ([True], False), ([1, "a"], False)], ids=str)
def test_one_prompt_of_ids_is_told_from_a_list_of_prompts(prompt: object, holds: bool) -> None:
    assert is_ids(prompt) is holds
