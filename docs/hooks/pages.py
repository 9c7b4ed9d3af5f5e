"""Hooks of the site: pages from outside docs/, and links that hold both in the repository and in the site.

README.md and its like stay where readers of a repository look for them, and are pages of the site without being written
twice. A link to a file of another kind, such as a module, leads to a page that shows the file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {"README.md": "index.md"} | {
    name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "LOG.md", "RECORDS.md", "SECURITY.md")}
"""Pages outside docs/, by their path in the repository: their path in the site."""

LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages outside docs/, and a page for each other file that a page links to."""
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf-8")))
    for file in list(files.documentation_pages()):
        home = posixpath.dirname(in_repository(file.src_uri))
        for _, target, _ in LINK.findall(file.content_string):
            path = posixpath.normpath(posixpath.join(home, target))
            uri = in_site(path)
            if uri.startswith("source/") and (ROOT / path).is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, content=shown(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """The text of a page with its links to files of the repository turned into links of the site."""
    here = page.file.src_uri
    if here == OUTSIDE["README.md"]:
        page.meta["hide"] = ["navigation"]  # which would be a list of this page alone
    home = posixpath.dirname(in_repository(here))

    def turned(link: re.Match[str]) -> str:
        begin, target, end = link.groups()
        path = posixpath.normpath(posixpath.join(home, target))
        if ":" in target or not (ROOT / path).is_file():
            return link[0]
        return begin + posixpath.relpath(in_site(path), posixpath.dirname(here) or ".") + end

    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in FENCE.split(markdown))


def in_site(path: str) -> str:
    """The place in the site of a file of the repository."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"


def in_repository(uri: str) -> str:
    """The place in the repository of a page of the site."""
    by_uri = {place: path for path, place in OUTSIDE.items()}
    return by_uri.get(uri) or (uri if uri.startswith("source/") else f"docs/{uri}")


def shown(path: str) -> str:
    """A page that shows a file: the cells of a notebook as text and code, else the file as it is."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if CELL.search(text):
        return notebook(text)
    return f"# {path}\n\n````{'python' if path.endswith('.py') else 'text'}\n{text.rstrip()}\n````\n"


def notebook(text: str) -> str:
    """The cells of a notebook in jupytext's percent format, as Markdown; what is before the first one is its header."""
    _, *parts = CELL.split(text)
    cells = zip(parts[::2], parts[1::2], strict=True)
    return "\n\n".join(re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE) if is_prose
                       else f"```python\n{body.strip()}\n```" for is_prose, body in cells) + "\n"
