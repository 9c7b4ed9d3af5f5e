"""The first words of a text, as a prompt that its model takes: what a person is shown to try."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

SEARCHED = 20_000
"""Characters at the beginning of a text that are looked through."""
LONGEST, FEW = 16, 4
"""Characters of a prompt of letters, enough for two words and for a piece of a script without spaces; and of others."""
_JOINTS = "'’-‐_@/\\.:"
"""Characters that make one word with a letter after them: what they cut off would be half a word."""


def opening(texts: Iterable[str], tokenizer: Tokenizer, encoding: str = "utf-8") -> str:
    """Finds one or two words at the beginning of a text that every shell, the tokenizer and the output take as they
    are; where a text has no words of letters, a few of its first characters.

    Args:
        texts: the training text in pieces.
        encoding: of the output that the prompt is shown on.

    Returns: the prompt; empty if nothing of the text can be shown there.
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
    """Candidates: each word of letters with the next, if one space lies between, and then alone."""
    found = list(re.finditer(r"\S+", text))
    for first, second in zip(found, [*found[1:], None], strict=True):
        word = _first(first[0], _is_plain)
        if not word or not unicodedata.category(word[0]).startswith("L") or _is_half(word, first[0]):
            continue
        if second and word == first[0] and text[first.end():second.start()] == " ":
            other = _first(second[0], _is_plain)
            if other and not _is_half(other, second[0]) and len(word) + len(other) < LONGEST:
                yield f"{word} {other}"
        yield _cut(word)


def _characters(text: str) -> Iterator[str]:
    for word in text.split():
        shown = _cut(_first(word, str.isprintable), FEW)
        if shown.strip("-"):  # a dash alone means standard input
            yield shown


def _first(word: str, belongs: Callable[[str], bool]) -> str:
    """The characters at the beginning of a word that belong."""
    return word[:next((position for position, character in enumerate(word) if not belongs(character)), len(word))]


def _is_plain(character: str) -> bool:
    """True for letters, digits and the marks on letters: no shell gives them a meaning."""
    return unicodedata.category(character)[0] in "LMN"


def _is_half(word: str, whole: str) -> bool:
    rest = whole[len(word):]
    return rest[:1] in tuple(_JOINTS) and bool(rest[1:2]) and _is_plain(rest[1])


def _cut(word: str, most: int = LONGEST) -> str:
    """Cuts a word to so many characters, and leaves no character without the marks that belong to it."""
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
