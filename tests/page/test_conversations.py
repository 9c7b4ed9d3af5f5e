"""A page's conversations have the ids that tinylm's have, and slide by whole turns as they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chat.conversations import random_conversations
from tests.interchange.chat_models import chat_model
from tests.interchange.test_chat import OURS
from tests.page.node import make_folder, run
from tinylm.chat.chat_format import FORMATS
from tinylm.chat.conversation import Conversation
from tinylm.chat.encode import encode_conversation
from tinylm.chat.prompt import chat_prompt
from tinylm.errors import TinyLMError
from tinylm.interchange.source import ExportedModel
from tinylm.page.chat_data import chat_data
from tinylm.page.tokenizer_data import tokenizer_data

CONTEXT_LENGTH, MAX_TOKENS = 60, 20
KINDS = [*((name, "imported") for name in FORMATS), *(("turns", kind) for kind in OURS)]
BLANKS = ("\u00a0x", "\u3000", "\x1c", "\ufeff", "\u0085")


def asked(model: ExportedModel, conversations: list[Conversation]) -> dict[str, Any]:
    form = model.chat_format
    assert form is not None
    return {"data": tokenizer_data(model.tokenizer), "form": chat_data(form, model.tokenizer),
            "conversations": [[message._asdict() for message in each] for each in conversations],
            "contextLength": CONTEXT_LENGTH, "maxTokens": MAX_TOKENS}


def prompt_of(model: ExportedModel, conversation: Conversation) -> Any:
    """The prompt as the page tells it."""
    try:
        found = chat_prompt(conversation, FORMATS[model.config.data.chat_format], model.tokenizer,
                            context_length=CONTEXT_LENGTH, max_tokens=MAX_TOKENS)
    except TinyLMError:
        return "TooLong"
    return {"ids": found.ids, "dropped": found.n_dropped}


@pytest.mark.parametrize("count", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_ids_and_prompts_are_the_same(tmp_path: Path, count: int) -> None:
    models = [chat_model(name, kind) for name, kind in KINDS]
    conversations = [random_conversations(count, OURS.get(kind, ("hello", " the", "\n", *BLANKS)))
                     for _, kind in KINDS]
    question = [asked(model, each) for model, each in zip(models, conversations, strict=True)]
    told = run(make_folder(tmp_path / "node"), "conversations.mjs", question)
    prompts = []
    for model, many, answers in zip(models, conversations, told, strict=True):
        for conversation, found in zip(many, answers, strict=True):
            ids = encode_conversation(conversation, FORMATS[model.config.data.chat_format], model.tokenizer).ids
            assert found["ids"] == ids, (model.config.data.chat_format, conversation)
            assert found["prompt"] == prompt_of(model, conversation), (model.config.data.chat_format, conversation)
            prompts.append(found["prompt"])
    assert "TooLong" in prompts
    assert {each["dropped"] for each in prompts if each != "TooLong"} >= {0, 1}
