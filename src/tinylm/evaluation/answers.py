"""Answers of a chat model to the questions of conversations, beside the answers that stand there.

Each question is asked with what was said before it, and answered greedily: always the likeliest token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from tinylm.chat.chat_format import chat_format
from tinylm.chat.conversation import Conversation
from tinylm.chat.encode import encode_conversation
from tinylm.chat.prompt import chat_prompt
from tinylm.errors import TinyLMError

if TYPE_CHECKING:  # the engine is not needed to import this
    from tinylm.config.schema import RunConfig
    from tinylm.generation.generator import TextGenerator
    from tinylm.text.tokenizer import Tokenizer

Thing = TypeVar("Thing")

MAX_QUESTIONS = 500
"""Questions that are asked of longer files, evenly from the whole of them."""
MAX_ANSWER_TOKENS = 256
"""Tokens of an answer, at most: a model that goes on for longer has not learned to end."""
MAX_WRONG = 10
"""Wrong answers that are shown."""


class AnsweringModel(Protocol):
    """A `LanguageModel`, as far as asking it needs."""

    config: RunConfig
    tokenizer: Tokenizer
    generator: TextGenerator


class Question(NamedTuple):
    """A question, with the conversation up to it, and the answer that stands in the file."""

    asked: Conversation
    expected: str

    @property
    def text(self) -> str:
        return self.asked[-1].content


class Answer(NamedTuple):
    """An answer of a model; `ended` is True if the model ended it itself."""

    text: str
    ended: bool


@dataclass(frozen=True)
class WrongAnswer:
    """An answer other than the one that stands in the file."""

    question: str
    expected: str
    answer: str


@dataclass(frozen=True)
class Answers:
    """Count of the answers of a model to questions.

    Attributes:
        questions: that were asked.
        exact: answers that are those of the file, character by character, but for white space around them.
        ended: answers that the model ended itself.
        wrong: some of the others, evenly from all.
    """

    questions: int
    exact: int
    ended: int
    wrong: tuple[WrongAnswer, ...] = ()


def questions_of(conversations: Sequence[Conversation], most: int = MAX_QUESTIONS) -> list[Question]:
    """The questions of conversations; of more than `most`, so many, evenly from the whole.

    >>> from tinylm.chat.conversation import Message
    >>> questions_of([[Message("user", "how are you ?"), Message("assistant", "fine")]])[0].expected
    'fine'
    """
    found = [Question(conversation[:number], message.content) for conversation in conversations
             for number, message in enumerate(conversation) if message.role == "assistant"]
    return spread(found, most)


def spread(things: Sequence[Thing], most: int) -> list[Thing]:
    """Things at even distances in a sequence: all of them, or `most`."""
    count = min(most, len(things))
    return [things[number * len(things) // count] for number in range(count)]


def ask(lm: AnsweringModel, questions: Sequence[Question]) -> list[Answer]:
    """The answers of a chat model to questions. In a conversation that leaves no room for an answer in the context, the
    oldest questions are left out, as where a person asks. A question that the model cannot read, or that is too long by
    itself, has an empty answer."""
    from tinylm.generation.completion import CompletionBuilder, GenerationRequest, complete_together
    from tinylm.sampling.sampler import bias_of

    generator, context = lm.generator, lm.config.model.context_length
    config = generator.sample_config(greedy=True, seed=0, max_tokens=MAX_ANSWER_TOKENS)
    bias, requests = bias_of(config, lm.tokenizer), dict[int, GenerationRequest]()
    for number, question in enumerate(questions):
        try:
            ids = _prompt_of(question, lm)
        except TinyLMError:
            continue
        within = config.model_copy(update={"max_tokens": min(MAX_ANSWER_TOKENS, context - len(ids))})
        builder = CompletionBuilder(question.text, lm.tokenizer, within, 0)
        requests[number] = GenerationRequest(ids, within, 0, bias, [], builder)
    done = complete_together(generator.batch(), list(requests.values()), generator.max_parallel(64))
    found = {number: Answer(each.text, each.stopped_by == "eos") for number, each in zip(requests, done, strict=True)}
    return [found.get(number, Answer("", False)) for number in range(len(questions))]


def _prompt_of(question: Question, lm: AnsweringModel) -> list[int]:
    """The ids of a question with what was said before it, as much of that as leaves room for an answer. Raises:
    TinyLMError: the question cannot be read, or is too long by itself."""
    form, context = chat_format(lm.config.data.chat_format), lm.config.model.context_length
    ids = encode_conversation(question.asked, form, lm.tokenizer).ids
    if len(ids) < context:
        return ids
    return chat_prompt(question.asked, form, lm.tokenizer, context_length=context - 1, max_tokens=MAX_ANSWER_TOKENS).ids


def count_answers(questions: Sequence[Question], answers: Sequence[Answer]) -> Answers:
    """Counts the answers that are those of the file.

    >>> from tinylm.chat.conversation import Message
    >>> question = Question([Message("user", "2 + 3")], "5")
    >>> count_answers([question, question], [Answer("5", True), Answer("6", True)]).exact
    1
    """
    wrong = [WrongAnswer(question.text, question.expected, answer.text)
             for question, answer in zip(questions, answers, strict=True)
             if question.expected.strip() != answer.text.strip()]
    return Answers(len(questions), len(questions) - len(wrong), sum(answer.ended for answer in answers),
                   tuple(spread(wrong, MAX_WRONG)))
