"""Pictures of pages 11 and 12: what lies between the toy and the presets, and text against weights."""

from __future__ import annotations

import math

from tinylm.config.schema import ModelConfig
from tinylm.inspection.structure import total_parameters
from tinylm.learn.html.picture import Frame, Picture, single
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, line, svg, tag, words

SHAPES = ("notebook", "gpt2", "llama", "qwen3")
PIECES = {"positions": "positions", "norm": "norm", "norm_position": "norm stands", "mlp": "MLP",
          "qk_norm": "norm of q, k", "bias": "biases", "tied_embeddings": "head is embedding"}
"""Settings of a shape in words."""
KNOWN = {"GPT-3": (175e9, 300e9), "Chinchilla": (70e9, 1.4e12), "Llama 3 8B": (8e9, 15e12)}
"""Parameters and training tokens: Brown et al. 2020 (arXiv 2005.14165), Hoffmann et al. 2022 (arXiv 2203.15556),
Grattafiori et al. 2024 (arXiv 2407.21783)."""
TOKENS_A_WEIGHT = 20
"""About as many tokens for each weight give the lowest loss for a given amount of computing (Hoffmann et al. 2022)."""


def shapes(subject: Subject) -> Picture:
    """The pieces of each preset at the sizes of the reader's model; what differs from the toy stands out."""
    config = subject.lm.config.model
    sizes = {name: getattr(config, name) for name in ("vocab_size", "context_length", "d_model", "n_layers", "n_heads")}
    made = {name: ModelConfig.preset(name, **sizes) for name in SHAPES}
    frames = tuple(Frame(name, draw_shape(name, shape, made["notebook"])) for name, shape in made.items())
    return Picture(
        "From the toy to the others.", f"Each shape with {config.n_layers} layers of width {config.d_model} and "
        f"{config.vocab_size} tokens. Orange is what differs from the notebook's.", frames, len(frames) - 1,
        slider="shape")


def draw_shape(name: str, shape: ModelConfig, toy: ModelConfig) -> str:
    """A row for each piece of a shape, and the number of its weights."""
    parts, changed = [words(0, 14, name, class_="strong")], []
    for number, (setting, piece) in enumerate(PIECES.items(), 1):
        value, before = getattr(shape, setting), getattr(toy, setting)
        if value != before:
            changed.append(f"{piece} {_said(value)}")
        parts += [words(130, 14 + number * LINE, piece, text_anchor="end", class_="soft"),
                  tag("rect", x=140, y=number * LINE + 1, width=150, height=LINE - 3, rx=3,
                      class_="piece" if value == before else "piece changed"),
                  words(148, 14 + number * LINE, _said(value))]
    count = total_parameters(shape)
    parts.append(words(130, 18 + (len(PIECES) + 1) * LINE, "weights", text_anchor="end", class_="soft"))
    parts.append(words(148, 18 + (len(PIECES) + 1) * LINE, f"{count:,}", class_="strong"))
    return svg(LINE * (len(PIECES) + 2) + 4, f"{name}: {count:,} weights; unlike the notebook: "
                                             f"{', '.join(changed) or 'nothing'}",
               *parts)


def text_against_weights(subject: Subject) -> Picture:
    """Training tokens against parameters, with the reader's model among known ones."""
    began = subject.history.began
    tokens = began.train_tokens if began else 0
    return single("Text against weights.", f"Both scales grow tenfold a step. On the line there are "
                                           f"{TOKENS_A_WEIGHT} tokens of text for "
                  "each weight; a model far below it has more weights than its text can teach.",
                  draw_sizes({**KNOWN, subject.name: (total_parameters(subject.lm.config.model), max(1, tokens))},
                             subject.name))


def draw_sizes(models: dict[str, tuple[float, float]], own: str) -> str:
    """Models by parameters (to the right) and tokens (up), both as powers of ten."""
    low, high_x, high_y = 1.0, 13.0, 14.0

    def place(weights: float, tokens: float) -> tuple[float, float]:
        x = 30 + (math.log10(weights) - low) / (high_x - low) * (WIDTH - 40)
        return x, 240 - (math.log10(tokens) - low) / (high_y - low) * 220

    parts = [line(30, 240, WIDTH, 240), line(30, 10, 30, 240),
             line(*place(10, 10 * TOKENS_A_WEIGHT), *place(1e12, 1e12 * TOKENS_A_WEIGHT), kind="tangent")]
    for power, name in ((3, "thousand"), (6, "million"), (9, "billion")):
        x, y = place(10.0**power, 10.0**power)
        parts += [words(x, 256, name, text_anchor="middle", class_="number"),
                  words(26, y + 4, {3: "1e3", 6: "1e6", 9: "1e9"}[power], text_anchor="end", class_="number")]
    for name, (weights, tokens) in models.items():
        x, y = place(weights, tokens)
        right = x < WIDTH - 100
        parts += [tag("circle", cx=x, cy=y, r=6 if name == own else 4, class_="care" if name == own else "dot"),
                  words(x + (9 if right else -9), y + 4, name, text_anchor="start" if right else "end",
                        **({"class_": "strong"} if name == own else {}))]
    parts += [words(WIDTH, 272, "weights", text_anchor="end", class_="soft"),
              words(34, 18, "tokens of text", class_="soft")]
    weights, tokens = models[own]
    about = (f"{own} has {weights:,.0f} weights and a text of {tokens:,.0f} tokens: {tokens / weights:.3g} for each "
             "weight")
    return svg(276, about, *parts)


def _said(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
