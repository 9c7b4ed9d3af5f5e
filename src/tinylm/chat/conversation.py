"""Conversations: messages of a system, a user and an assistant, in turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from tinylm.errors import TinyLMError, did_you_mean

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)


class Message(NamedTuple):
    """A text that one side says in one turn.

    Attributes:
        role: "system" (what the assistant is to be, before the first question), "user" or "assistant".
        content: the text, exactly as it was said.
    """

    role: Role
    content: str


Conversation = list[Message]
_EXAMPLE = 'For example [{"role": "user", "content": "How are you?"}]'


def read_messages(messages: Sequence[Mapping[str, Any] | Message]) -> Conversation:
    """Checks messages as OpenAI's API has them, and gives them as a conversation.

    Args:
        messages: a system message or none, then questions of the user and answers of the assistant in turns. The role
            "developer" is another name of "system"; a content may be a list of parts of text, which become lines.

    Raises:
        TinyLMError: no message, a role or content that is none, or messages out of turn.

    >>> read_messages([{"role": "user", "content": "how are you ?"}])
    [Message(role='user', content='how are you ?')]
    """
    if not isinstance(messages, Iterable):
        raise TinyLMError(f"a conversation is a list of messages, and this is {type(messages).__name__}",
                          where="messages", remedy=_EXAMPLE)
    conversation = [_read(message, number) for number, message in enumerate(messages)]
    if not conversation:
        raise TinyLMError("a conversation needs at least one message", where="messages", remedy=_EXAMPLE)
    turns = conversation[1:] if conversation[0].role == "system" else conversation
    first = len(conversation) - len(turns)
    if not turns:
        raise TinyLMError("there is a system message alone, and nothing to answer", where="messages",
                          remedy='Add a message of the user: {"role": "user", "content": "How are you?"}')
    for number, message in enumerate(turns):
        expected = "assistant" if number % 2 else "user"
        if message.role != expected:
            raise TinyLMError(f"here is a message of the {message.role}, where one of the {expected} is expected",
                              where=f"messages[{first + number}]", remedy="After a system message, if there is one, "
                              "messages of user and assistant take turns, and the user begins")
    return conversation


def _read(message: Mapping[str, Any] | Message, number: int) -> Message:
    where = f"messages[{number}]"
    if isinstance(message, Message):
        message = message._asdict()
    if not isinstance(message, Mapping):
        raise TinyLMError("a message is an object with role and content", where=where,
                          remedy='For example {"role": "user", "content": "How are you?"}')
    role, content = message.get("role"), joined_parts(message.get("content"))
    role = "system" if role == "developer" else role
    if role not in ROLES:
        known = did_you_mean(str(role), ROLES)
        raise TinyLMError(f"there is no role {role!r}", where=f"{where}.role", remedy=known)
    if not isinstance(content, str):
        raise TinyLMError("the content of a message is a text", where=f"{where}.content",
                          remedy='For example "How are you?"')
    return Message(role, content)


def joined_parts(content: Any) -> Any:
    """The text of a content that is a list of parts with a text, each a line; any other content as it is.

    >>> joined_parts([{"type": "text", "text": "Be brief."}, {"type": "text", "text": "How are you?"}])
    'Be brief.\\nHow are you?'
    """
    if not isinstance(content, list):
        return content
    texts = [part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "\n".join(texts) if len(texts) == len(content) else content
