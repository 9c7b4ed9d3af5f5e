"""The site of `make docs`: every link leads somewhere, nothing is loaded from elsewhere, search works offline."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tinylm
from tests.serving.browser import CHROMIUM, visit

ROOT = Path(__file__).parents[2]
LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src",
           "audio": "src", "embed": "src", "object": "data", "image": "href", "use": "href"}
"""What a browser loads by itself, by element: the attribute that holds its address."""
pytestmark = pytest.mark.xdist_group("site")  # which is built once
FOREIGN = re.compile(r"(?i)^\s*(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a broken link or reference ends the build."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)], cwd=ROOT,
                           env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stderr[-1000:]
    return folder


class Loaded(HTMLParser):
    """Collects the addresses that a page loads from, and the ids that its links can lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for value in (given.get(LOADING.get(tag, "")), given.get("srcset")) if value]
        self.addresses += re.findall(r"url\(\s*['\"]?([^'\")]+)", given.get("style") or "")
        self.ids |= {value for value in (given.get("id"),) if value}


def test_a_page_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text = page.read_text(encoding="utf-8")
        foreign = [address for address in Loaded(text).addresses if FOREIGN.match(address)]
        assert not foreign, f"{page.name} loads {foreign}"
        assert 'class="mermaid"' not in text, f"{page.name}: the theme would fetch mermaid from elsewhere"


def test_a_style_loads_nothing_from_elsewhere(site):
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        imported = re.findall(r"@import\s+['\"]([^'\"]+)", text) + re.findall(r"url\(\s*['\"]?([^'\")]+)", text)
        assert not [address for address in imported if FOREIGN.match(address)], style.name


def test_every_public_name_is_in_the_reference(site):
    ids = {found for page in (site / "api").glob("*.html") for found in Loaded(page.read_text(encoding="utf-8")).ids}
    missing = [name for name in tinylm.__all__ if f"tinylm.{name}" not in ids]
    assert not missing, f"docs/api/ has no ::: tinylm.{missing[0]}"


def test_the_readme_and_the_notebook_are_pages_with_links_that_lead_on(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    assert "make demo" in start
    for target in ("source/examples/notebook.py.html", "source/src/tinylm/model/transformer.py.html", "NAMES.html",
                   "api/index.html"):
        assert f'href="{target}"' in start
        assert (site / target).is_file()


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
def test_search_finds_a_word_where_the_site_is_opened_from_a_disk(site):
    assert re.search(r"\d+ matching documents", visit(f"{(site / 'index.html').as_uri()}?q=overfitting"))
