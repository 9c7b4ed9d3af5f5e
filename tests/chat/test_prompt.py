"""Prompts of conversations: they slide by whole turns, and leave room for the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.test_encode import BPE, contents
from tests.chat_models import turns
from tinylm.chat.chat_format import TURNS
from tinylm.chat.conversation import Conversation, Message, read_messages
from tinylm.chat.encode import encode_conversation
from tinylm.chat.prompt import ChatPrompt, chat_prompt
from tinylm.errors import TinyLMError


def prompt(conversation: Conversation, context_length: int = 64, max_tokens: int = 8) -> ChatPrompt:
    return chat_prompt(conversation, TURNS, BPE, context_length=context_length, max_tokens=max_tokens)


def length(*texts: str, system: str = "") -> int:
    return len(encode_conversation(turns(*texts, system=system), TURNS, BPE).ids)


@given(st.lists(contents, min_size=1, max_size=9).filter(lambda texts: len(texts) % 2 == 1), contents,
       st.integers(8, 80), st.integers(0, 100))
def test_it_is_the_longest_end_of_the_conversation_that_fits(texts: list[str], system: str, context_length: int,
                                                             max_tokens: int) -> None:
    most = context_length + 1 - max(1, min(max_tokens, context_length // 4))
    ends = [turns(*texts[start:], system=system) for start in range(0, len(texts), 2)]
    fitting = [number for number, end in enumerate(ends) if len(encode_conversation(end, TURNS, BPE).ids) <= most]
    first = fitting[0] if fitting else len(ends) - 1
    expected = ChatPrompt(encode_conversation(ends[first], TURNS, BPE).ids, first)
    if len(expected.ids) > context_length:
        with pytest.raises(TinyLMError, match=f"this model sees {context_length:,} at once"):
            prompt(ends[0], context_length, max_tokens)
        return
    assert prompt(ends[0], context_length, max_tokens) == expected


def test_the_system_text_stays() -> None:
    found = prompt(turns(*["how are you ?", "fine ."] * 20, "the cat", system="meow"))
    assert found.n_dropped > 0
    assert BPE.decode(found.ids).startswith("meow\n\nhow are")


def test_room_for_the_answer_is_what_it_may_have_or_a_quarter() -> None:
    texts = ["how are you ?", "fine ."] * 20
    lengths = {max_tokens: len(prompt(turns(*texts, "meow"), 64, max_tokens).ids) for max_tokens in (0, 1, 16, 1000)}
    step = length("a", *texts[:2]) - length("a")
    for max_tokens, room in ((0, 1), (1, 1), (16, 16), (1000, 16)):
        assert 65 - room - step < lengths[max_tokens] <= 65 - room


def test_a_long_question_with_a_short_answer_is_asked() -> None:
    """A context that was made for the longest conversation holds its question."""
    texts = ("good bad good bad good bad", "yes")
    found = prompt(turns(*texts, texts[0]), length(*texts), 100)
    assert found == ChatPrompt(encode_conversation(turns(texts[0]), TURNS, BPE).ids, 1)


def test_a_question_that_is_too_long_says_how_long_it_may_be() -> None:
    question = "how are you ? " * 50
    with pytest.raises(TinyLMError) as caught:
        prompt(turns("fine", "fine", question))
    assert f"{length(question)} tokens, and this model sees 64 at once" in str(caught.value)
    assert "messages[2]" in str(caught.value)
    with pytest.raises(TinyLMError, match="with the system text"):
        prompt(turns("fine", system=question))


def test_the_assistant_is_not_answered() -> None:
    with pytest.raises(TinyLMError, match="End with a message of the user"):
        prompt(turns("fine", "fine"))


def test_messages_as_clients_send_them() -> None:
    parts = [{"type": "text", "text": "how are"}, {"type": "text", "text": "you ?"}]
    assert read_messages([{"role": "developer", "content": "meow"}, {"role": "user", "content": parts}]) == [
        Message("system", "meow"), Message("user", "how are\nyou ?")]
    with pytest.raises(TinyLMError, match="content of a message is a text"):
        read_messages([{"role": "user", "content": [{"type": "image_url", "image_url": "file:///etc/passwd"}]}])
    with pytest.raises(TinyLMError, match="content of a message is a text"):
        read_messages([{"role": "user", "content": [{"type": "text", "text": {"value": "how are"}}]}])


def test_a_long_conversation_is_fitted_in_time() -> None:
    """Twenty thousand turns cost some encodings of it, not one for each turn."""
    found = prompt(turns(*["fine", "fine"] * 10_000, "fine"))
    assert len(found.ids) <= 57
    assert found.n_dropped > 9_900
