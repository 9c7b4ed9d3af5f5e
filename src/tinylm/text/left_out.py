"""Text left out: measures what the ids of a text do not hold, and the bits that a coder would need for it.

Word ids stand for words joined by single spaces: line breaks, indents and the spelling of `<unk>` are lost. A tokenizer
of characters, or of words without `<unk>`, leaves out what it does not know of another text. A loss over the ids alone
would count all this as free, and could not compare tokenizers. So bits a byte charge for it, as an adaptive coder does:

- the positions of what was left out, if the ids do not tell them: the logarithm of the number of ways to choose k of n
  positions, and of n + 1 for k;
- the content: each item is as likely as its share of the items before it (a new item as likely as one of them), and a
  new item is spelled in bytes, each as likely as its share of the bytes spelled before it.

Both are sums over counts, and do not depend on the order. A text of which nothing is left out is charged nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tinylm.text.encoders import Ids
from tinylm.text.special_tokens import SPELLED_OUT
from tinylm.text.split import Slice
from tinylm.text.tokenizer import Tokenizer

Form = Literal["", "NFC", "NFD"]
_GAP = re.compile(r"\s+")
_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_EXAMPLES = 5


@dataclass(frozen=True)
class LeftOut:
    """A count of what the ids of a text leave out.

    Attributes:
        bits: the cost of what was left out.
        unit: what `unknown` and `units` count.
        units: characters or words of the text.
        unknown: the number of units that the tokenizer does not know.
        examples: the most frequent unknown units.
        line_breaks, indents, other_spaces: white space that is no single space between words (of words alone); an
            indent is the white space at the beginning of a line.
        form: Unicode's normal form in which the text was read, since the tokenizer knows more of it so.
    """

    bits: float = 0.0
    unit: Literal["characters", "words"] = "characters"
    units: int = 0
    unknown: int = 0
    examples: tuple[str, ...] = ()
    line_breaks: int = 0
    indents: int = 0
    other_spaces: int = 0
    form: Form = ""


NOTHING = LeftOut()


class LossyTokenizer:
    """A tokenizer that skips what it does not know: unknown characters and words get no ids, or `<unk>`.

    Args:
        form: the normal form in which the text is read.
    """

    def __init__(self, tokenizer: Tokenizer, form: Form) -> None:
        self._tokenizer, self._form = tokenizer, form
        self.vocab_size, self.specials = tokenizer.vocab_size, tokenizer.specials
        self.fingerprint = f"{tokenizer.fingerprint}, what is known of {form or 'the text'}"

    def entry_id(self, entry: str) -> int | None:
        """The id of an entry of the vocabulary; None: there is none."""
        return self._tokenizer.entry_id(entry)

    def encode_parts(self, parts: Sequence[str | int]) -> tuple[list[int], list[int]]:
        """The ids of texts and special tokens in a row, as `Tokenizer.encode_parts` gives them."""
        if self._tokenizer.knows_all:
            return self._tokenizer.encode_parts(parts)
        known = [[part] if isinstance(part, int) else self._tokenizer.encode_known(_in_form(part, self._form)).tolist()
                 for part in parts]
        return [id for ids in known for id in ids], [number for number, ids in enumerate(known) for _ in ids]

    def encoder(self, n_bytes: int) -> Callable[[str], Ids]:
        """Makes the encoder of a text of so many bytes, as `Tokenizer.encoder` does."""
        if self._tokenizer.knows_all:
            return self._tokenizer.encoder(n_bytes)
        return lambda text: self._tokenizer.encode_known(_in_form(text, self._form))


def measure(text: Slice, tokenizer: Tokenizer, form: Form = "") -> LeftOut:
    """Counts what the ids of a text leave out. The text is not read where every character is known.

    Args:
        form: the normal form in which the text is read, of `best_form`.
    """
    if tokenizer.knows_all or (tokenizer.kind == "char" and tokenizer.knows(text.corpus.stats().alphabet)):
        return NOTHING
    unknown, units = _unknown(text, tokenizer, form)
    bits = _contents(unknown)
    if tokenizer.specials.unk is None:  # else <unk> tells their positions
        bits += _places(units, unknown.total())
    examples = tuple(unit for unit, _ in unknown.most_common(_EXAMPLES))
    if tokenizer.kind == "char":
        return LeftOut(bits, "characters", units, unknown.total(), examples, form=form)
    spaces = left_out_by_words(text)
    return replace(spaces, bits=bits + spaces.bits, units=units, unknown=unknown.total(), examples=examples, form=form)


def left_out_by_words(text: Slice) -> LeftOut:
    """The white space that words leave out of a text, without unknown words."""
    gaps, places = _gaps(text)
    breaks = {gap: len(_LINE_BREAK.findall(gap)) for gap in gaps}
    return LeftOut(
        _places(places, gaps.total()) + _contents(gaps), "words",
        line_breaks=sum(breaks[gap] * times for gap, times in gaps.items()),
        indents=sum(times for gap, times in gaps.items() if breaks[gap] and not _LINE_BREAK.match(gap[-1])),
        other_spaces=sum(times for gap, times in gaps.items() if not breaks[gap]))


def best_form(text: Slice, tokenizer: Tokenizer) -> Form:
    """The normal form of Unicode in which the tokenizer knows the most of a text; "" if no form is better than none."""
    forms: tuple[Form, ...] = ("", "NFC", "NFD")
    alphabet = text.corpus.stats().alphabet
    if tokenizer.knows_all or alphabet.isascii() or tokenizer.knows(alphabet):
        return ""
    return min(forms, key=lambda form: _unknown(text, tokenizer, form)[0].total())


def _in_form(text: str, form: Form) -> str:
    return unicodedata.normalize(form, text) if form else text


def _unknown(text: Slice, tokenizer: Tokenizer, form: Form) -> tuple[Counter[str], int]:
    """Counts of the characters or words that the tokenizer does not know, and the number of all units."""
    counts: Counter[str] = Counter()
    for piece in text.targets():
        read = _in_form(piece.text, form)
        counts.update(read.split() if tokenizer.kind == "word" else read)
    return Counter({unit: times for unit, times in counts.items() if not tokenizer.knows([unit])}), counts.total()


def _gaps(text: Slice) -> tuple[Counter[str], int]:
    """Counts of the white space that is not a single space between two words, and the number of positions where such
    white space may be: before, between and after the words of each document."""
    gaps: Counter[str] = Counter()
    places, begins = 0, text.unit == "documents" or text.start == 0
    for piece in text.targets():
        words, found = piece.text.split(), _GAP.findall(piece.text)
        at_its_ends = [found[0]] if found and begins and piece.text[0].isspace() else []
        at_its_ends += [found[-1]] if found and piece.ends_document and piece.text[-1].isspace() else []
        usual = found.count(" ")
        gaps.update(found)
        gaps[" "] -= usual - min(usual, at_its_ends.count(" "))
        if any(special in piece.text for special in SPELLED_OUT):  # split in two words, with nothing between them
            gaps[""] += sum(map(words.count, SPELLED_OUT))
        places += len(words) + piece.ends_document
        begins = piece.ends_document
    gaps = +gaps
    return gaps, max(places, gaps.total())


# ---- bits


def _places(n: int, k: int) -> float:
    """Bits to tell k of n positions, and k; 0 if k is 0."""
    return math.log2(n + 1) + _log2_choose(n, k) if k else 0.0


def _contents(counts: Counter[str]) -> float:
    """Bits to tell texts one after another, each as likely as its share of the texts before it."""
    total = counts.total()
    again = _log2_factorial(total) - math.fsum(_log2_factorial(times - 1) for times in counts.values())
    return again + _spelling(counts)


def _spelling(texts: Iterable[str]) -> float:
    """Bits to spell texts in bytes, with an end for each. Each of the 257 symbols is as likely as its count plus 1."""
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(text.encode())
        counts[_END] += 1
    every = _log2_factorial(counts.total() + _END) - _log2_factorial(_END)
    return every - math.fsum(map(_log2_factorial, counts.values()))


_END = 256


def _log2_choose(n: int, k: int) -> float:
    return _log2_factorial(n) - _log2_factorial(k) - _log2_factorial(n - k)


def _log2_factorial(n: int) -> float:
    return math.lgamma(n + 1) / math.log(2)


# ---- for people


def white_space(left: LeftOut) -> str:
    """Describes the white space that words leave out; empty if there is none."""
    parts = [_count(left.line_breaks, "line break"), _count(left.indents, "indent"),
             _count(left.other_spaces, "other stretch of white space", "other stretches of white space")]
    parts = [part for part in parts if part]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def share_unknown(left: LeftOut) -> str:
    """Describes the share of unknown units, such as "12 of 61,234 characters (0.02%)"."""
    share = 100 * left.unknown / max(1, left.units)
    told = "over 99" if 99 < share < 100 else f"{share:.0f}" if share >= 10 else f"{share:.2g}"
    return f"{left.unknown:,} of {left.units:,} {left.unit} ({told}%)"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}" if number else ""
