"""The page of an explanation: one file that draws what `tinylm explain --json` prints.

It holds the explanation's data alone, and not the model. So it is the explanation that was asked for, of any model,
also of one that no page can run; and it weighs as much as its numbers do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinylm.page.markup import json_element
from tinylm.page.single_file import make_page
from tinylm.system.marked_file import write_marked_file

GENERATOR = "tinylm explain --html"
"""The mark in the head of a page by which an earlier one is known."""


def write_explanation(out: str | Path, model: str, data: dict[str, Any], *, force: bool) -> Path:
    """Writes the page, whole or not at all. Returns its path.

    Args:
        model: its name.
        data: what `tinylm explain --json` prints.
        force: an earlier page that is there may be replaced. Anything else that is there never is.

    Raises:
        TinyLMError: the place holds something, or cannot be written.
    """
    content = json.dumps({"model": model, **data}, ensure_ascii=False, separators=(",", ":"))
    page = make_page("explanation_file.js", json_element("explanation", content), name=model, generator=GENERATOR)
    return write_marked_file(out, page, GENERATOR, what="explanation", option="--html", force=force)
