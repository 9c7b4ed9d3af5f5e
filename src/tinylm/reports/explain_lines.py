"""An explanation in lines for people: tables and bars that need no colour, for any width of the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tinylm.inspection.change import Change
from tinylm.inspection.embeddings import EmbeddingMap, Neighbour
from tinylm.inspection.explainer import Effects
from tinylm.inspection.explanation import AttentionPattern, Contributions, Lens, TokenScore
from tinylm.inspection.heads import HeadScore
from tinylm.inspection.one_step import TrainingStep
from tinylm.inspection.patching import PatchMap
from tinylm.reports.table import cell, columns, fitting, text_width
from tinylm.system.standard_streams import tolerant_console

BAR, SHORTEST_BAR = 24, 4
"""The length of the longest bar; where there is not even room for the second, there are no bars."""
MOST_PARTS, MOST_KEYS, LONGEST_TOKEN = 16, 3, 16
"""The parts that have a bar of their own; the keys that are named of each query where the whole pattern is too wide;
the characters of a token."""


def terminal_width() -> int:
    """The width of the terminal in characters; of a file or a pipe, 80, unless the variable COLUMNS says otherwise."""
    return tolerant_console().width


def label(token: str) -> str:
    """A token for a table, shortened if it is long."""
    shown = cell(token)
    return shown if len(shown) <= LONGEST_TOKEN else shown[:LONGEST_TOKEN - 1] + "…"


def named(token: str) -> str:
    """A token in a sentence: in quotes."""
    shown = label(token)
    return shown if shown.startswith(("'", '"')) and len(shown) > 1 else f"'{shown}'"


def bar(share: float, length: int = BAR) -> str:
    """A bar for a share from 0 to 1; whatever is above 0 is seen."""
    return "█" * (max(1, round(length * share)) if share > 0 else 0)


def barred(rows: Sequence[Sequence[str]], shares: Sequence[float], width: int, *, right: Sequence[int]) -> list[str]:
    """A table with a bar at the end of each row, as long as the terminal allows."""
    lines = columns(rows, right=right)
    widest = max(map(text_width, lines), default=0)
    length = min(BAR, width - widest - 2)
    if length < SHORTEST_BAR:
        return lines
    return [f"{line}{' ' * (widest - text_width(line) + 2)}{bar(share, length)}".rstrip()
            for line, share in zip(lines, shares, strict=True)]


def token_lines(tokens: Sequence[TokenScore], loss: float | None, width: int) -> list[str]:
    """The tokens, with the probability and the rank that the model gave each before it came."""
    of_all = "" if loss is None else f"; loss {loss:.4f} nats a token"
    rows = [("at", "token", "probability", "rank"), *(
        (str(each.position), label(each.token), f"{each.probability:.3f}", str(each.rank))
        if each.probability is not None else (str(each.position), label(each.token), "", "") for each in tokens)]
    return [f"Tokens: how the model expected each{of_all}",
            *barred(rows, [0.0, *(each.probability or 0.0 for each in tokens)], width, right=[0, 2, 3])]


def lens_lines(lens: Lens, after: TokenScore, width: int) -> list[str]:
    """The readings of a lens after one token; as many of the likeliest as fit."""
    at, followed = after.position, label(lens.token.token)
    for top in range(len(lens.readings[0].next[at]), 0, -1):
        rows = [("read after", followed, "rank", "likeliest", *([""] * (top - 1))), *(
            (_stream(each.stream), f"{each.probabilities[at]:.3f}", str(each.ranks[at]),
             *(f"{label(next.token)} {next.probability:.3f}" for next in each.next[at][:top]))
            for each in lens.readings)]
        table = columns(rows, right=[1, 2])
        if max(map(text_width, table)) <= width:
            break
    return [f"Lens: what each layer, read through ln_f and out_head, would say after {named(after.token)}", *table]


def _stream(name: str) -> str:
    return f"layer {name.split('.')[1]}" if name.endswith("resid_post") else "embedding"


def attention_lines(found: AttentionPattern, width: int) -> list[str]:
    """The pattern of a head in percent, as a table; where that is too wide, the keys that each query looks at most."""
    title = f"Attention of head {found.layer}.{found.head}: where each token (a row) looks, in percent"
    labels = [label(token) for token in found.tokens]
    percent = [[f"{100 * share:.0f}" if found.scores[row][key] is not None else "" for key, share in enumerate(shares)]
               for row, shares in enumerate(found.pattern)]
    rows = [("", *labels), *((name, *cells) for name, cells in zip(labels, percent, strict=True))]
    table = columns(rows, right=range(1, len(labels) + 1))
    if max(map(text_width, table)) <= width:
        return [title, *table]
    rows = [("at", "token", "looks at"), *((str(row), name, _most_looked_at(found.pattern[row], labels))
                                           for row, name in enumerate(labels))]
    return [f"{title}; of each row the largest", *columns(rows, right=[0])]


def _most_looked_at(shares: Sequence[float], labels: Sequence[str]) -> str:
    most = sorted(range(len(shares)), key=lambda key: -shares[key])[:MOST_KEYS]
    return ", ".join(f"{labels[key]} at {key}: {100 * shares[key]:.0f}" for key in most if shares[key] >= 0.005)


def contribution_lines(found: Contributions, after: TokenScore, width: int) -> list[str]:
    """The parts as bars to the left and right of an axis, the largest first."""
    largest = sorted(found.parts, key=lambda part: -abs(part.value))
    shown, others = largest[:MOST_PARTS], largest[MOST_PARTS:]
    rows = [(part.part, part.value) for part in shown]
    if others:
        rows.append((f"{len(others)} others", sum(part.value for part in others)))
    title = (f"Contributions: what speaks for {named(found.token.token)} (+) and for {named(found.against.token)} (-) "
             f"after {named(after.token)}; in all {found.logit_difference:+.3f}")
    most, table = max(abs(value) for _, value in rows) or 1.0, columns(
        [(name, f"{value:+.3f}") for name, value in rows], right=[1])
    length = min(BAR, (width - max(map(len, table)) - 3) // 2)
    if length < SHORTEST_BAR:
        return [title, *table]
    return [title, *(f"{line}  {_two_sided(value / most, length)}"
                     for line, (_, value) in zip(table, rows, strict=True))]


def _two_sided(share: float, length: int) -> str:
    drawn = bar(abs(share), length)
    return (f"{drawn:>{length}}│" if share < 0 else f"{'':{length}}│{drawn}").rstrip()


def change_lines(change: Change, width: int) -> list[str]:
    """The likeliest next tokens before and after a change, as pairs of bars; and the losses."""
    pairs = [pair for was, now in zip(change.before, change.after, strict=True)
             for pair in ((label(was.token), "before", was.probability), ("", "after", now.probability))]
    losses = [("loss, nats a token", "before", "after")]
    if change.loss_before is not None and change.loss_after is not None:
        losses.append(("of this text", f"{change.loss_before:.4f}", f"{change.loss_after:.4f}"))
    if effect := change.effect:
        losses.append((f"of the {effect.split} text ({effect.tokens:,} tokens)", f"{effect.loss:.4f}",
                       f"{effect.parts[0].loss:.4f}"))
    return [f"Change: {'; '.join(change.changes)}",
            *barred([(token, when, f"{probability:.3f}") for token, when, probability in pairs],
                    [probability for _, _, probability in pairs], width, right=[2]),
            *(columns(losses, right=[1, 2]) if len(losses) > 1 else [])]


def part_lines(heads: Sequence[HeadScore], effects: Effects | None, width: int) -> list[str]:
    """The heads and MLPs: where a head looks, and the loss without the part."""
    habits = {f"{score.layer}.{score.head}": score for score in heads}
    found = {each.part: each for each in effects.parts} if effects else {}
    most = max((abs(each.difference) for each in found.values()), default=0.0) or 1.0
    rows = [("part", "previous token", "induction", "loss without", "difference")]
    for part in found or habits:
        score, effect = habits.get(part), found.get(part)
        rows.append((part, *(("", "") if score is None else (_share(score.previous_token), _share(score.induction))),
                     *((f"{effect.loss:.4f}", f"{effect.difference:+.4f}") if effect else ("", ""))))
    of_text = (f"; and the loss of the {effects.split} text without each part ({effects.tokens:,} tokens; with all "
               f"{effects.loss:.4f})" if effects else "")
    return [f"Parts: the share of its attention that a head gives to two places{of_text}",
            *barred(rows, [0.0, *(max(0.0, found[part].difference) / most if part in found else 0.0
                                  for part in found or habits)], width, right=[1, 2, 3, 4])]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def neighbour_lines(neighbours: Sequence[Sequence[Neighbour]], drawn: EmbeddingMap, width: int) -> list[str]:
    """The different tokens of a text: the place of each on the map, and as many of its nearest tokens as fit."""
    across, up = (f"{100 * share:.0f}" for share in drawn.explained)
    title = (f"Neighbours: each token on the map of the embedding (x has {across}%, y {up}% of the variance), and the "
             "tokens whose vectors point most nearly the same way (cosine)")
    for top in range(max(map(len, neighbours)), 0, -1):
        rows = [(label(point.token), f"{point.x:+.2f}", f"{point.y:+.2f}",
                 *(f"{label(each.token)} {each.similarity:+.2f}" for each in near[:top]))
                for point, near in zip(drawn.points, neighbours, strict=True)]
        table = columns([("token", "x", "y", "nearest", *([""] * (top - 1))), *rows], right=[1, 2])
        if max(map(text_width, table)) <= width:
            break
    return [title, *table]


def patch_lines(found: PatchMap, tokens: Sequence[TokenScore], width: int) -> list[str]:
    """The map of single patches, in percent of the way from the one logit difference to the other."""
    way = found.source - found.unpatched
    title = (f"Patching: the logit of {named(found.token.token)} less that of {named(found.against.token)} is "
             f"{found.unpatched:+.3f} here and {found.source:+.3f} in the other text")
    if abs(way) < 1e-3:
        return [f"{title}; no activation carries a difference, for there is none"]

    def percent(value: float) -> str:
        return str(round(100 * (value - found.unpatched) / way))

    names = [f"layer {layer}" for layer in range(len(found.stream))]
    stream = [[percent(value) for value in row] for row in found.stream]
    parts = [[*map(percent, row), percent(mlp)] for row, mlp in zip(found.heads, found.mlps, strict=True)]
    heads = [f"head {head}" for head in range(len(found.heads[0]))] if found.heads else []
    return [f"{title}. Below: the percent of that way that one activation of the other text brings",
            "the stream as it enters a layer, at one token", *fitting(names, [label(each.token) for each in tokens],
                                                                      stream, width),
            "a head or an MLP, at all tokens", *fitting(names, [*heads, "mlp"], parts, width)]


def step_lines(step: TrainingStep) -> list[str]:
    """A training step, seen from one weight."""
    moves = "falls" if step.gradient < 0 else "rises"
    clipped = "" if step.clipped_to is None else f", shortened to {step.clipped_to:g}"
    rows = [("weight", step.weight, ""),
            ("gradient", f"{step.gradient:+.6f}", f"the loss {moves} when the weight rises"),
            ("", f"{step.gradient_norm:.6f}", f"the length of the gradient of all weights{clipped}"),
            ("before", f"{step.value_before:+.6f}", ""),
            ("update", f"{step.value_after - step.value_before:+.6f}",
             f"by {step.optimizer}, learning rate {step.learning_rate:g}"),
            ("after", f"{step.value_after:+.6f}", ""),
            ("loss before", f"{step.loss_before:.6f}", f"nats a token, of {step.tokens} tokens"),
            ("loss after", f"{step.loss_after:.6f}", "with every weight moved")]
    return ["Step: one training step on this text, seen from one weight", *columns(rows)]
