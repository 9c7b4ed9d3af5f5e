"""Opening: the first words of a text, as a prompt that its model takes, for a person to try."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from tinylm.config.schema import DataConfig
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

SEARCHED = 20_000
"""Characters at the beginning of a text that are searched."""
MAX_LETTERS, MAX_OTHERS = 16, 4
"""Characters of a prompt, at most: of letters, enough for two words or a part of a script without spaces; of others."""
MANY_WORDS = 100
"""Words among which the first one of a text would stand again, if it were a whole one."""
_JOINTS = "'’-‐_@/\\.:"
"""Characters that join letters to one word: a prompt must not end before one of them."""


def opening(texts: Iterable[str], tokenizer: Tokenizer, encoding: str = "utf-8") -> str:
    """Finds a prompt at the beginning of a text that every shell, the tokenizer and the output take as it is: one or
    two words of letters, else a few of the first characters.

    Args:
        texts: the training text in pieces.
        encoding: the encoding of the output that shows the prompt; default: UTF-8.

    Returns:
        the prompt; empty if no part of the text can be shown.
    """
    beginning = _beginning(texts)
    for candidates in (_words, _characters):
        for prompt in candidates(beginning):
            if _is_shown(prompt, encoding) and _is_known(prompt, tokenizer):
                return prompt
    return ""


def _beginning(texts: Iterable[str]) -> str:
    held = ""
    for text in texts:
        held += text[:SEARCHED] + "\n"
        if len(held) > SEARCHED:
            break
    return held[:SEARCHED]


def _words(text: str) -> Iterator[str]:
    """Yields candidates: each word of letters with the next, if one space is between them, and then alone."""
    found = list(re.finditer(r"\S+", text))
    if _begins_inside_a_word([match[0] for match in found]):
        del found[0]
    for first, second in zip(found, [*found[1:], None], strict=True):
        word = _first(first[0], _is_plain)
        if not word or not unicodedata.category(word[0]).startswith("L") or _is_half(word, first[0]):
            continue
        if second and word == first[0] and text[first.end():second.start()] == " ":
            other = _first(second[0], _is_plain)
            if other and not _is_half(other, second[0]) and len(word) + len(other) < MAX_LETTERS:
                yield f"{word} {other}"
        yield _cut(word)


def _begins_inside_a_word(words: list[str]) -> bool:
    """True if the first word of a text may be the end of one that was cut: it is in lower case, and stands nowhere
    else among many words."""
    return len(words) >= MANY_WORDS and words[0][:1].islower() and words.count(words[0]) == 1


def without_cut_word(sample: str, data: DataConfig) -> str:
    """A text that a model began itself, without the end of a word that it may begin with: where rows of training begin
    anywhere in the text, so do the texts of the model.

    >>> without_cut_word("tors in the house", DataConfig(tokenizer="bpe", packing="windows"))
    '…in the house'
    >>> without_cut_word("how are you ?", DataConfig(tokenizer="word", packing="packed"))
    'how are you ?'
    """
    cut = re.match(r"\S+\s+(?=\S)", sample)
    begins_anywhere = data.packing == "windows" and data.tokenizer != "word"
    return f"…{sample[cut.end():]}" if begins_anywhere and cut and sample[0].islower() else sample


def _characters(text: str) -> Iterator[str]:
    for word in text.split():
        shown = _cut(_first(word, str.isprintable), MAX_OTHERS)
        if shown.strip("-"):  # a dash alone means standard input
            yield shown


def _first(word: str, belongs: Callable[[str], bool]) -> str:
    """The longest beginning of a word in which `belongs` is true of every character."""
    return word[:next((position for position, character in enumerate(word) if not belongs(character)), len(word))]


def _is_plain(character: str) -> bool:
    """True for letters, digits and the marks on letters: no shell gives them a meaning."""
    return unicodedata.category(character)[0] in "LMN"


def _is_half(word: str, whole: str) -> bool:
    rest = whole[len(word):]
    return rest[:1] in tuple(_JOINTS) and bool(rest[1:2]) and _is_plain(rest[1])


def _cut(word: str, most: int = MAX_LETTERS) -> str:
    """Cuts a word to at most `most` characters, and keeps the marks of a character with it."""
    end = min(len(word), most)
    while 1 < end < len(word) and (unicodedata.category(word[end]) in ("Mn", "Mc", "Me", "Cf", "Sk")
                                   or word[end - 1] == "\u200d"):
        end -= 1
    return word[:end]


def _is_shown(prompt: str, encoding: str) -> bool:
    try:
        return bool(prompt.encode(encoding))
    except (UnicodeEncodeError, LookupError):
        return False


def _is_known(prompt: str, tokenizer: Tokenizer) -> bool:
    try:
        return tokenizer.unk_id not in tokenizer.encode_text(prompt)
    except TinyLMError:
        return False
