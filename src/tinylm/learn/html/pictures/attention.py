"""Pictures of page 5: the pattern of a head, each cell of which unfolds into the numbers that make it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinylm.learn.html.grid import Square, grid
from tinylm.learn.html.picture import Frame, Picture
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, bars, line, shorten, svg, tag, visible, words

MOST_TOKENS = 10

Matrix = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Head:
    """The numbers of a head on a text of T tokens.

    Attributes:
        tokens: T names.
        q, k, v: (T, K) queries, keys and values.
        scores: (T, T); where a position may not look, -inf.
        pattern: (T, T) shares; each row sums to 1.
        z: (T, K) what each position takes in.
    """

    name: str
    tokens: Sequence[str]
    q: Matrix
    k: Matrix
    v: Matrix
    scores: Matrix
    pattern: Matrix
    z: Matrix


def read_head(subject: Subject, layer: int, head: int) -> Head:
    """The numbers of a head on the first tokens of the sentence."""
    kept = subject.explanation.activations
    config = subject.lm.config.model
    count, group = min(MOST_TOKENS, len(subject.tokens)), head * config.n_kv_heads // config.n_heads
    q, k, v, z = (kept[f"layers.{layer}.attn.{tap}"][0, place, :count].tolist()
                  for tap, place in (("q", head), ("k", group), ("v", group), ("z", head)))
    scores, pattern = (kept[f"layers.{layer}.attn.{tap}"][0, head, :count, :count].tolist()
                       for tap in ("scores", "pattern"))
    return Head(f"{layer}.{head}", [visible(token) for token in subject.tokens[:count]], q, k, v, scores, pattern, z)


def attention_by_hand(subject: Subject) -> Picture:
    """The head that speaks loudest for the next token, cell by cell."""
    found = subject.explanation
    layer, head = found.strongest_head(found.contributions()) or (0, 0)
    return draw_head(read_head(subject, layer, head))


def draw_head(head: Head) -> Picture:
    """The pattern of a head; a cell unfolds into products, score, softmax and what is handed over."""
    places = [(query, key) for query, row in enumerate(head.scores) for key, score in enumerate(row)
              if score > -math.inf]
    numbers = {place: number for number, place in enumerate(places)}

    def square(query: int, key: int) -> Square:
        share = head.pattern[query][key]
        frame = numbers.get((query, key))
        return Square(share, closed=True) if frame is None else Square(share, f"{100 * share:.0f}", frame)

    frames = tuple(Frame(f"{head.tokens[query]} looks at {head.tokens[key]}", _unfold(head, query, key))
                   for query, key in places)
    row = head.pattern[-1]
    return Picture(
        f"Head {head.name}, cell by cell.", "A row is a token that looks, a column one that is looked at, and a "
        "number the percent of its attention. Choose a cell: below, it unfolds into the numbers that make it.",
        frames, numbers[len(row) - 1, row.index(max(row))],
        map=grid(f"Attention of head {head.name}: each of {len(row)} tokens, and where it looks", head.tokens,
                 head.tokens, square))


def _unfold(head: Head, query: int, key: int) -> str:
    """Four steps from a query and a key to what is handed over."""
    products = [a * b for a, b in zip(head.q[query], head.k[key], strict=True)]
    score, share, width = head.scores[query][key], head.pattern[query][key], len(products)
    seen = [place for place, score in enumerate(head.scores[query]) if score > -math.inf]
    rows = [(head.tokens[place], head.pattern[query][place], f"{head.pattern[query][place]:.3f}") for place in seen]
    asks, asked, largest = head.tokens[query], head.tokens[key], _largest(head.z[query], head.v[key])
    after = 126 + LINE * len(rows)
    about = (f"“{asks}” looks at “{asked}”: the {width} products of query and key sum to {sum(products):.2f}; "
             f"divided by the root of {width} that is the score {score:.2f}; softmax makes of it the share {share:.3f}")
    return svg(
        246 + LINE * len(head.tokens), about,
        _step(14, f"1  q of “{asks}” times k of “{asked}”: {width} products"),
        _signed(products, 42, _largest(products)), words(0, 78, f"their sum: {sum(products):.3f}", class_="number"),
        _step(98, f"2  divided by √{width}: the score {score:.3f}"),
        _step(120, f"3  softmax over all that “{asks}” may see"),
        bars(rows, left=90, most=1.0, top=124, marked=[seen.index(key)]),
        _step(after + 16, f"4  {share:.3f} times v of “{asked}” goes into z"),
        _signed([share * value for value in head.v[key]], after + 44, largest, kind="value care"),
        words(0, after + 80, "z, the sum of these over all tokens:", class_="number"),
        _signed(head.z[query], after + 104, largest))


def _step(y: float, text: str) -> str:
    return words(0, y, shorten(text, WIDTH), class_="strong")


def _largest(*rows: Sequence[float]) -> float:
    return max(abs(value) for row in rows for value in row)


def _signed(values: Sequence[float], y: float, largest: float, kind: str = "value") -> str:
    """Upright bars, a number each, above and below a line at y."""
    step = WIDTH / len(values)
    uprights = []
    for number, value in enumerate(values):
        height = 20 * abs(value) / (largest or 1.0)
        uprights.append(tag("rect", x=number * step, y=y - (height if value > 0 else 0), width=max(0.6, step - 2),
                            height=height, class_=kind))
    return "".join([line(0, y, WIDTH, y), *uprights])


