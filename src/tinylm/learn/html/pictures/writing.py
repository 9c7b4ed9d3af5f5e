"""Pictures of pages 0 and 9: what may come next, at several temperatures, and what the cache spares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.learn.html.picture import Frame, Picture
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, bars, svg, tag, visible, words
from tinylm.sampling.predictions import top_ids

MOST_BARS, MOST_PLACES = 8, 64
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
TOP_P = 0.8
NEW_TOKENS = 15
_HEIGHT = 190


def next_words(subject: Subject) -> Picture:
    """The distribution after each token of the sentence; of a long one, after each of the last `MOST_PLACES`."""
    found, frames = subject.explanation, []
    for position, token in list(enumerate(subject.tokens))[-MOST_PLACES:]:
        shown = [(visible(each.token), each.probability, f"{100 * each.probability:.1f} %")
                 for each in found.next(MOST_BARS, position)]
        so_far = " ".join(map(visible, subject.tokens[:position + 1][-MOST_PLACES:]))
        frames.append(Frame(f"after {visible(token)}", svg(
            LINE * (MOST_BARS + 1), f"After “{so_far}” the likeliest is {shown[0][0]} with {shown[0][2]}",
            bars(shown, left=90, most=1.0))))
    return Picture("What comes next?", "The probabilities that the model gives to the next token, the likeliest "
                                       "first. That is all "
                   "that it ever computes.", tuple(frames), len(frames) - 1, slider="place")


def temperatures(subject: Subject) -> Picture:
    """The bars after the sentence at several temperatures, and which of them top-p keeps."""
    logits = subject.explanation.activations["logits"][0, -1].double().cpu().numpy()
    order = top_ids(logits.astype(np.float32), min(MOST_BARS, len(logits)))
    names = [visible(subject.lm.tokenizer.token(id)) for id in order]
    frames = tuple(Frame(f"{each:g}", _bars_at(logits, order, names, each)) for each in TEMPERATURES)
    return Picture(
        "Temperature and top-p.", "The logits are divided by the temperature before the softmax. Faint bars are those "
        f"that top-p {TOP_P:g} leaves out: it keeps the likeliest, until they have {100 * TOP_P:.0f} percent together.",
        frames, TEMPERATURES.index(2.0), slider="temperature")


def softmax_at(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of logits (V,) at a temperature.

    >>> softmax_at(np.array([2.0, 1.0, 0.0]), 0.5).round(3).tolist()
    [0.867, 0.117, 0.016]
    """
    powers = np.exp((logits - logits.max()) / temperature)
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def n_kept(probs: NDArray[np.float64], p: float) -> int:
    """The number of ids that top-p keeps: the likeliest, until together they have p.

    >>> [n_kept(softmax_at(np.array([2.0, 1.0, 0.0]), each), 0.8) for each in (0.5, 1, 2)]
    [1, 2, 2]
    """
    return int((np.cumsum(np.sort(probs)[::-1]) < p).sum()) + 1


def _bars_at(logits: NDArray[np.float64], order: list[int], names: list[str], temperature: float) -> str:
    probs = softmax_at(logits, temperature)
    kept = n_kept(probs, TOP_P)
    rows = [(name, float(probs[id]), f"{100 * probs[id]:.1f} %") for name, id in zip(names, order, strict=True)]
    said = f"At temperature {temperature:g} {names[0]} has {rows[0][2]}, and top-p {TOP_P:g} keeps {kept}"
    return svg(LINE * (len(rows) + 1), said, bars(rows, left=90, most=1.0, faint=range(kept, len(rows))),
               words(90, LINE * (len(rows) + 1) - 4, f"top-p {TOP_P:g} keeps {kept} of {len(probs)}", class_="soft"))


def cache(subject: Subject) -> Picture:
    """The positions computed for each new token, without the cache and with it."""
    prompt = min(len(subject.tokens), 12)
    frames = Frame("without", _computed(prompt, False)), Frame("with", _computed(prompt, True))
    without, with_cache = (n_computed(prompt, NEW_TOKENS, each) for each in (False, True))
    return Picture(
        "What the cache spares.", "A row is a new token, a column a position of the text. Blue squares are computed "
        f"anew: {without} without the cache, {with_cache} with it.", frames, 1, slider="cache")


def n_computed(prompt: int, new: int, with_cache: bool) -> int:
    """Positions that are computed to write so many tokens after a prompt.

    >>> n_computed(7, 15, False), n_computed(7, 15, True)
    (210, 21)
    """
    return prompt + new - 1 if with_cache else sum(prompt + step for step in range(new))


def _computed(prompt: int, with_cache: bool) -> str:
    total = prompt + NEW_TOKENS - 1
    size = min(14.0, WIDTH / total)
    squares = []
    for step in range(NEW_TOKENS):
        first = prompt + step - 1 if with_cache and step else 0
        for position in range(prompt + step):
            squares.append(tag("rect", x=position * size, y=step * 12, width=size - 1.5, height=10, rx=1,
                               class_="value" if position >= first else "kept"))
    number = n_computed(prompt, NEW_TOKENS, with_cache)
    return svg(_HEIGHT, f"{number} positions are computed {'with' if with_cache else 'without'} the cache", *squares,
               words(WIDTH, 14, f"{number} computed", text_anchor="end",
                     class_="strong") if total * size < WIDTH - 90 else "")
