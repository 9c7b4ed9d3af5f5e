"""The model card of an export: the card of the model folder, between what the Hub reads and how the export is used."""

from __future__ import annotations

from collections.abc import Sequence

_TITLE = "# A small language model, made by tinylm\n"


def make_card(card: str, notes: Sequence[str], *, front_matter: str, use: str) -> str:
    """The card as Markdown. It names no licence: that is for the owner of the text to choose.

    Args:
        card: the card of the model folder; empty where there is none.
        notes: sentences on what is not exact in the other program.
        front_matter: what the Hub reads, between two lines of dashes.
        use: how the export is used, with {notes} for the notes.

    >>> make_card("# Book\\n", ["A note."], front_matter="---\\n---\\n", use="## Use\\n{notes}\\n")
    '---\\n---\\n# Book\\n## Use\\n- A note.\\n'
    """
    return (front_matter + (card.rstrip("\n") + "\n" if card.strip() else _TITLE)
            + use.format(notes="\n".join(f"- {note}" for note in notes)))
