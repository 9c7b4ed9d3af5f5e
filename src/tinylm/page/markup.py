"""Markup of pages that are one file: text that is never markup, data that no browser runs, and a policy that lets no
script run but those whose hashes it names."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable

from tinylm.system.untrusted import LINE_END, replace_control_codes


def escape_html(text: object) -> str:
    """Text for the page, in which nothing is markup. What no page can show becomes U+FFFD, and every kind of line end
    the one that a page knows.

    >>> escape_html("<b>&")
    '&lt;b&gt;&amp;'
    """
    return html.escape(LINE_END.sub("\n", replace_control_codes(str(text))))


def json_element(name: str, content: str) -> str:
    """JSON as an element that a script reads by its id. Without a `<` in it nothing can end the element early.

    >>> json_element("facts", '{"text": "</script>"}')
    '<script type="application/json" id="facts">{"text": "\\\\u003c/script>"}</script>'
    """
    return f'<script type="application/json" id="{name}">{content.replace("<", chr(92) + "u003c")}</script>'


def content_policy(scripts: Iterable[str], *, web_assembly: bool = False) -> str:
    """The Content-Security-Policy of a page that loads nothing and runs these scripts alone.

    Args:
        scripts: the exact texts between `<script>` and `</script>`.
        web_assembly: the scripts may compile WebAssembly that they hold themselves.
    """
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = [*(f"'sha256-{each}'" for each in hashes), *(["'wasm-unsafe-eval'"] if web_assembly else [])]
    return (f"default-src 'none'; script-src {' '.join(allowed)}; style-src 'unsafe-inline'; img-src data:; "
            "base-uri 'none'; form-action 'none'")
