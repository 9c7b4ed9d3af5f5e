"""Picture of page 1: merges of BPE, one by one."""

from __future__ import annotations

from collections.abc import Sequence

from tinylm.learn.facts import Merge, apply_merges, merges
from tinylm.learn.html.picture import Frame, Picture
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LETTER, LINE, WIDTH, shorten, svg, tag, words

MOST_MERGES, MOST_BOXED, START = 12, 64, 4
MOST_WORDS = 4096
_ROW = 30


def merges_one_by_one(subject: Subject) -> Picture:
    """The words of the sentence in pieces, after ever more merges that were learned on the model's own text. Of a long
    sentence there are the last `MOST_BOXED` words."""
    corpus = own_words(subject)[:MOST_WORDS]
    text = subject.text.split()[-MOST_BOXED:] or corpus[:6]
    found = merges(corpus, MOST_MERGES)
    frames = tuple(Frame(f"{count}", draw(text, found[:count])) for count in range(len(found) + 1))
    return Picture("Merges, one by one.", f"Learned on {len(corpus)} words of the text: the most frequent pair of "
                                          f"neighbours becomes one "
                   "piece. With none there are characters, with enough of them whole words; no word is ever unknown.",
                   frames, min(START, len(found)), slider="merges")


def own_words(subject: Subject) -> list[str]:
    """The words of the text that the model is evaluated by. Raises: TinyLMError: it has moved or changed."""
    rows = (row for inputs, _ in subject.own_text[1] for row in inputs.tolist())
    return [word for row in rows for word in subject.lm.tokenizer.decode(row).split()]


def draw(text: Sequence[str], found: Sequence[Merge]) -> str:
    """Words as boxes of pieces, and the merges that made them."""
    pieces = [apply_merges(word, found) for word in text]
    boxes, x, y = [], 0.0, 0.0
    for word in pieces:
        width = sum(_width(piece) + 2 for piece in word)
        if x and x + width > WIDTH:
            x, y = 0.0, y + _ROW
        for piece in word:
            boxes.append(tag("rect", x=x, y=y + 4, width=_width(piece), height=22, rx=3, class_="piece"))
            boxes.append(words(x + _width(piece) / 2, y + 20, shorten(piece, WIDTH), text_anchor="middle"))
            x += _width(piece) + 2
        x += 10
    count = sum(map(len, pieces))
    last = f"the last merge: {found[-1][0]} + {found[-1][1]}" if found else "no merge yet: characters"
    said = " ".join("|".join(word) for word in pieces)
    return svg(y + _ROW + 2 * LINE + 4, f"After {len(found)} merges: {said}", *boxes,
               words(0, y + _ROW + LINE, last, class_="strong"),
               words(0, y + _ROW + 2 * LINE, f"{count} pieces for {len(text)} words", class_="soft"))


def _width(piece: str) -> float:
    return min(float(WIDTH), 10 + LETTER * len(piece))
