"""Jupyter notebooks: the text of their cells, without outputs."""

from __future__ import annotations

import json

from tinylm.text.formats.extracted import Extracted, File, Unreadable, single, storable, way


def read(file: File) -> Extracted:
    """The text of a notebook's cells. Raises: Unreadable: the file is not a notebook."""
    try:
        notebook = json.loads(file.text().lstrip("\ufeff"))
        sheets = [notebook] if "cells" in notebook else notebook["worksheets"]  # the latter up to format 3
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        texts = ["".join(cell.get("source", cell.get("input", ""))) for cell in cells]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"is not a Jupyter notebook that can be read ({type(error).__name__}: {error})",
                         where=file.where,
                         remedy=way("Make a text of it: jupyter nbconvert --to markdown {file}", file.where)) from None
    text = "\n\n".join(text.strip("\n") for text in texts if text.strip())
    return single(storable(text) + "\n" * bool(text),
                  f"read as a Jupyter notebook: the text of its {len(texts):,} cells; outputs are left out")
