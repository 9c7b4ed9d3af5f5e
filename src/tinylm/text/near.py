"""Near forms: other spellings of a text that a person types, of which a tokenizer knows one.

`é` is one character or two, an apostrophe is straight or curly, a space may be a no-break space. A person sees no
difference, and a model that was trained on one of them does not know the other. A near form replaces an unknown
character if it is the only one:

1. a canonical equivalent (Unicode's NFC, NFD and what lies between), another line end, no invisible character;
2. a compatibility form that looks the same: full width, a ligature, an Arabic letter in its joined shape;
3. the only known quote, dash or space; and if a pair of curly quotes is known, the one that fits the position.

Another case, a letter without its accent and the like make another text: an error names them as near, and they never
replace anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import combinations
from typing import NamedTuple

from tinylm.text.special_tokens import SPELLED_OUT
from tinylm.text.vocabulary import word_parts

LINE_ENDS = ("\n", "\r\n", "\r", "\x85", "\u2028", "\u2029")
_ALIKE = ("'\u2019\u2018\u201b\u02bc\u2032\xb4`", '"\u201c\u201d\u201e\u201f\u2033', "-\u2013\u2014\u2012\u2015\u2212",
          " \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t")
"""Groups of characters that replace each other: apostrophes and single quotes, double quotes, dashes, spaces."""
_GROUP = {character: group for group in _ALIKE for character in group}
_LOOKALIKES = ("AАΑ", "BВΒ", "CС", "EЕΕ", "HНΗ", "IІΙ", "JЈ", "KКΚ", "MМΜ", "NΝ", "OОΟ", "PРΡ", "SЅ", "TТΤ", "XХΧ",
               "YΥ", "ZΖ", "aа", "cс", "eе", "iі", "jј", "oоο", "pр", "sѕ", "vν", "xх", "yу", "ıiİI", "şș", "ŞȘ",
               "ţț", "ŢȚ", "её", "ЕЁ", "\u0643\u06a9", "\u064a\u06cc\u0649", "\u0647\u0629\u06c1\u06d5",
               "\"\u201c\u201d\u201e\xab\xbb\u05f4\u300c\u300d", "'\u2039\u203a\u05f3", "-\u05be", ".\u3002\u06d4",
               ",\u060c\u3001\uff0c", "?\u061f\uff1f", ";\u061b\uff1b")
"""Groups of different letters that look the same: of Latin, Cyrillic and Greek, of Romanian and Turkish, of Arabic and
Persian keyboards; and of punctuation marks of several scripts."""
_LOOKALIKE = {character: "".join(group for group in _LOOKALIKES if character in group)
              for character in "".join(_LOOKALIKES)}
_PAIRS = ("\u2018\u2019", "\u201c\u201d", "\u201e\u201c")
"""Opening and closing quotes, in English and in German."""
_PLAIN = {"\t": " ", "\u2010": "-", "\u2011": "-", "\xb4": "'", "\u2033": '"'}
_SAME_LOOK = ("<wide>", "<narrow>", "<noBreak>", "<compat>", "<initial>", "<medial>", "<final>", "<isolated>")
"""Unicode's compatibility mappings that keep the look of a character. `²` is no `2`, nor is `①` a `1`."""
_INVISIBLE = frozenset("\ufeff\u200b\u2060\xad\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufe0e\ufe0f")
MAX_MARKS = 4
"""Marks on a letter whose combinations are tried, at most."""
_MAX_NEAR = 3
"""Near forms that an error names, at most."""


class Reading(NamedTuple):
    """A text as a tokenizer can read it.

    Attributes:
        text: the text with near forms instead of unknown characters or words.
        replaced: (as typed, as read) -> number of times.
        unknown: character or word without a near form -> its first position in the text, counted from 1.
    """

    text: str
    replaced: dict[tuple[str, str], int]
    unknown: dict[str, int]


class NearCharacters:
    """Reads a text in the characters of an alphabet."""

    def __init__(self, alphabet: Collection[str]) -> None:
        self._known = frozenset(alphabet)

    def read(self, text: str) -> Reading:
        """Replaces each unknown character that has one near form by known characters."""
        if self._known.issuperset(text):
            return Reading(text, {}, {})
        parts: list[str] = []
        replaced: Counter[tuple[str, str]] = Counter()
        unknown: dict[str, int] = {}
        form_of = lru_cache(maxsize=None)(self._form)
        position = 0
        for cluster in self._clusters(text):
            form, stop = cluster, position + len(cluster)
            if not self._known.issuperset(cluster):
                around = (text[max(0, position - 1):position], text[stop:stop + 1]) if cluster in _GROUP else ("", "")
                form = form_of(cluster, *around)
                if form != cluster:
                    replaced[cluster, form] += 1
                for character in form:
                    if character not in self._known:
                        unknown.setdefault(character, position + cluster.index(character) + 1)
            parts.append(form)
            position = stop
        return Reading("".join(parts), replaced, unknown)

    def near(self, character: str) -> list[str]:
        """The known characters that a person may have meant, at most three."""
        cases = (case for case in (character.lower(), character.upper()) if len(case) == 1)
        others = [*_GROUP.get(character, ""), *_LOOKALIKE.get(character, ""), *cases, character.casefold(),
                  unicodedata.normalize("NFD", character)[0], unicodedata.normalize("NFKC", character),
                  *self._digits(character), *self._by_look.get(_look(character), ())]
        return [other for other in dict.fromkeys(others) if other and self._known.issuperset(other)][:_MAX_NEAR]

    def _digits(self, character: str) -> list[str]:
        """The known digits of the same value, in whatever script."""
        value = unicodedata.decimal(character, None)
        return [] if value is None else sorted(each for each in self._known if unicodedata.decimal(each, None) == value)

    def _clusters(self, text: str) -> Iterator[str]:
        """Yields a text in parts: unknown letters with their marks, line ends, three dots, each by itself; and the
        known text between them."""
        unknown = "".join(map(re.escape, set(text) - self._known))
        start = 0
        for found in re.finditer(rf"\r\n|\.\.\.|[{unknown}]", text):
            first, stop = found.span()
            if first < start:
                continue
            while first > start and _is_mark(text[first]):
                first -= 1
            while stop < len(text) and _is_mark(text[stop]):
                stop += 1
            yield from filter(None, (text[start:first], text[first:stop]))
            start = stop
        yield text[start:]

    def _form(self, cluster: str, before: str, after: str) -> str:
        """The near form of a cluster in known characters; else the cluster with the near forms of its characters."""
        forms: Iterable[str] = LINE_ENDS if cluster in LINE_ENDS else (*_equivalents(cluster), *_equivalents(_plain(
            cluster)))
        for form in forms:
            if form and self._known.issuperset(form):
                return form
        alike = self._by_look.get(_look(cluster), [])
        if len(alike) == 1:
            return alike[0]
        if len(cluster) > 1:
            forms = {each: each if each in self._known else self._form(each, before, after) for each in set(cluster)}
            return "".join(map(forms.__getitem__, cluster))
        if cluster in _INVISIBLE:
            return ""
        return _of_pair(alike, before, after) or cluster

    @cached_property
    def _by_look(self) -> dict[str, list[str]]:
        return _by_look(self._known)


class NearWords:
    """Reads a text in the words of a vocabulary."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        self._known = vocabulary

    def read(self, text: str) -> Reading:
        """Replaces each unknown word that has one near form by a known word."""
        words = text.split()
        forms = {word: self._form(word) for word in dict.fromkeys(words) if not self._knows(word)}
        if not forms:
            return Reading(text, {}, {})
        replaced = Counter((word, forms[word]) for word in words if forms.get(word, word) != word)
        unknown: dict[str, int] = {}
        for position, word in enumerate(words, start=1):
            if forms.get(word) == word:
                unknown.setdefault(word, position)
        if replaced:
            text = re.sub(r"\S+", lambda found: forms.get(found[0], found[0]), text)
        return Reading(text, replaced, unknown)

    def near(self, word: str) -> list[str]:
        """The known words that a person may have meant: in another case, or without punctuation joined to the word."""
        core = word.strip("".join({each for each in word if not each.isalnum()}))
        before, _, after = word.partition(core) if core else (word, "", "")
        apart = " ".join(part for part in (before, core, after) if part)
        others = [apart] if len(core) < len(word) and all(map(self._knows, apart.split())) else []
        others += [*self._by_look.get(_look(word), ()), *filter(self._knows, _cases(word)),
                   *filter(self._knows, [core] if core else []), *filter(self._knows, _cases(core))]
        return [other for other in dict.fromkeys(others) if other and other != word][:_MAX_NEAR]

    def _knows(self, word: str) -> bool:
        return all(part in self._known for part in word_parts(word))

    def _form(self, word: str) -> str:
        alike = self._by_look.get(_look(word), [])
        return alike[0] if len(alike) == 1 else word

    @cached_property
    def _by_look(self) -> dict[str, list[str]]:
        return _by_look(word for word in self._known if word not in SPELLED_OUT)


class NearLineEnds:
    """Reads a text with plain line ends, for a model that knows all bytes and has never met a CR."""

    def read(self, text: str) -> Reading:
        """The text with each CRLF or CR as a line feed."""
        found = re.findall("\r\n?", text)
        replaced = Counter((end, "\n") for end in found)
        return Reading(re.sub("\r\n?", "\n", text) if found else text, replaced, {})

    def near(self, _: str) -> list[str]:
        """An empty list: BPE knows every text."""
        return []


Near = NearCharacters | NearWords | NearLineEnds


def describe_characters(text: str) -> str:
    """Quotes a text for people, with the code points of characters whose look does not tell which ones they are.

    >>> describe_characters("e\\u0301"), describe_characters("\\u2019"), describe_characters("é")
    ("'e' + U+0301", "'’' (U+2019)", "'é'")
    """
    hidden = [each for each in text if _is_mark(each) or not (each.isascii() or each.isprintable())]
    if hidden and len(text) <= 1 + MAX_MARKS:
        return " + ".join(_code(each) if each in hidden else repr(each) for each in text)
    alike = text in _GROUP or text in _LOOKALIKE or (len(text) == 1 and unicodedata.normalize("NFKC", text) != text)
    if alike and not text.isascii():
        return f"{text!r} ({_code(text)})"
    return repr(text)


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _is_mark(character: str) -> bool:
    """True if a character belongs to the one before it: an accent, a vowel sign, the second half of a Hangul syllable,
    the voice mark of half-width katakana."""
    return not character.isascii() and (unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"
                                        or character in "\uff9e\uff9f") and character not in _INVISIBLE


def _equivalents(cluster: str) -> Iterator[str]:
    """Yields the canonical equivalents of a letter with its marks: composed, apart, and with some marks apart."""
    yield unicodedata.normalize("NFC", cluster)
    apart = unicodedata.normalize("NFD", cluster)
    yield apart
    base, marks = apart[:1], range(1, len(apart))
    for count in range(1, len(marks)) if len(marks) <= MAX_MARKS else ():
        for chosen in combinations(marks, count):
            form = unicodedata.normalize("NFC", base + "".join(apart[i] for i in chosen))
            form += "".join(apart[i] for i in marks if i not in chosen)
            if unicodedata.normalize("NFD", form) == apart:
                yield form


def _plain(text: str) -> str:
    """A text without differences that do not show: half and full width, joined shapes, ligatures."""
    if text.isascii() and "\t" not in text:
        return text
    return unicodedata.normalize("NFC", "".join(map(_plain_character, text)))


def _plain_character(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if unicodedata.decomposition(character).startswith(_SAME_LOOK):
        plain = unicodedata.normalize("NFKC", character)
        return character if len(plain) > 1 and plain[0] == " " else plain  # a lone accent is no space
    return character


def _look(text: str) -> str:
    """A key that is equal for texts that look the same, or differ only within a group of `_ALIKE`."""
    plain = _plain("".join(each for each in text if each not in _INVISIBLE))
    return "".join(_GROUP[each][0] if each in _GROUP else each for each in plain)


def _by_look(known: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in sorted(known):
        found.setdefault(_look(each), []).append(each)
    return found


def _cases(word: str) -> tuple[str, ...]:
    return word.lower(), word.upper(), word.capitalize(), word.title()


def _of_pair(alike: Collection[str], before: str, after: str) -> str:
    """The quote of a known curly pair that fits the position: the closing one after a letter or a full stop; the
    opening one of double quotes before a word; else "". (Single quotes before a word may be apostrophes: 'tis.)"""
    curly = {each for each in alike if each in "".join(_PAIRS)}
    pair = next((pair for pair in _PAIRS if curly == set(pair)), None)
    if pair is None:
        return ""
    if before and not before.isspace() and before not in "([{\u2014\u2013-":
        return pair[1]
    return pair[0] if pair != _PAIRS[0] and after and not after.isspace() else ""
