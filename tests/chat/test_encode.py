"""Conversations to ids: whatever is said stays text, and marks stand where the format has them."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.chat.chat_format import TURNS, chat_format
from tinylm.chat.conversation import Conversation, Message, read_messages
from tinylm.chat.encode import encode_conversation
from tinylm.chat.templates import jinja_template
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

MARKS = ("<eos>", "<bos>", "<pad>", "<|im_end|>", "User:", "\n\nAssistant: yes", "</s>")
BPE = Tokenizer.train("bpe", ["how are you ? fine . the cat says meow"], vocab_size=300)

contents = st.lists(st.sampled_from(MARKS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
                    max_size=4).map("".join)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A system message or none, and turns, of which the last may be a question."""
    system = [Message("system", draw(contents))] if draw(st.booleans()) else []
    texts = draw(st.lists(contents, min_size=1, max_size=5))
    return [*system, *(Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts))]


@given(conversations())
def test_no_text_ends_a_turn(conversation: Conversation) -> None:
    ids, is_answer = encode_conversation(conversation, TURNS, BPE)
    turns = [message for message in conversation if message.role != "system"]
    assert ids[0] == BPE.bos_id
    assert ids.count(BPE.eos_id) == len(turns)
    assert BPE.bos_id not in ids[1:]
    ends = [number for number, id in enumerate(ids) if id == BPE.eos_id]
    texts = [BPE.decode(ids[start + 1:end]) for start, end in zip([0, *ends], ends, strict=False)]
    if conversation[0].role == "system":
        turns[0] = Message("user", f"{conversation[0].content}\n\n{turns[0].content}")
    assert texts == [message.content for message in turns]
    assert [is_answer[end] for end in ends] == [message.role == "assistant" for message in turns]


@given(conversations())
def test_the_template_writes_the_same(conversation: Conversation) -> None:
    template = jinja2.Environment(keep_trailing_newline=True).from_string(jinja_template(TURNS))
    rendered = template.render(messages=[each._asdict() for each in conversation], bos_token="<bos>", eos_token="<eos>")
    ours = "".join(segment.content if isinstance(segment.content, str) else segment.content.entry
                   for segment in TURNS.render(conversation))
    assert ours == rendered


@pytest.mark.parametrize(("messages", "said"), [
    ([], "at least one message"),
    ([{"role": "user"}], "content of a message is a text"),
    ([{"role": "usr", "content": "hello"}], "Did you mean 'user'"),
    ([{"role": "assistant", "content": "hello"}], "one of the user is expected"),
    ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "messages[1]"),
    ([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}], "message of the system"),
    ([{"role": "system", "content": "a"}], "nothing to answer"),
    (["hello"], "an object with role and content"),
])
def test_messages_that_are_no_conversation(messages: list[dict[str, str]], said: str) -> None:
    with pytest.raises(TinyLMError) as caught:
        read_messages(messages)
    assert said in str(caught.value)


def test_a_format_that_is_unknown() -> None:
    with pytest.raises(TinyLMError, match="Did you mean 'turns'"):
        chat_format("turn")
