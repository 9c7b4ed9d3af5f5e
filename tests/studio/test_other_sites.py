"""Pages of other sites in a browser that has the studio's cookie: none reads or changes anything (promise S3).

The sites lie at other ports of this very machine: for cookies they are the same site, which is the hardest case. Each
attack writes READ: and what it has learnt into its page; its own script spells that in two parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import chromium
from tests.serving.browser import Site
from tests.studio.studio import Studio
from tests.studio.test_names import tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
START = """
const API = 'URL', ALL = {credentials: 'include'};
const tell = text => text && document.body.append('RE' + 'AD:' + text);
const no = error => document.body.append('NO:' + error);
const go = (path, more) => fetch(API + path, {...ALL, ...more}).then(r => r.text()).then(tell, no);
const send = (method, path, body, kind) => go(path,
  {method, body: JSON.stringify(body), headers: {'Content-Type': kind}});
const add = (tag, more) => {
  const e = Object.assign(document.createElement(tag), more); document.body.append(e); return e };
const form = (path, kind, name, value) => { const f = add('form', {method: 'post', action: API + path, enctype: kind,
  target: add('iframe', {name: 'f' + Math.random()}).name}); f.append(Object.assign(document.createElement('input'),
  {name, value})); f.submit() };
const peek = e => { e.onload = () => { try { tell(e.contentDocument.body.innerText) } catch (error) { no(error) } } };
"""
ATTACKS = {
    "read models": "go('/api/models')",
    "read models, no questions": "go('/api/models', {mode: 'no-cors'})",
    "read the weights": "go('/api/models/hello/weights')",
    "delete": "go('/api/models/hello', {method: 'DELETE'})",
    "rename": "send('PATCH', '/api/models/hello', {name: 'x'}, 'application/json')",
    "post json": "send('POST', '/api/models/hello/copied', {text: 'x'}, 'application/json')",
    "post text": "send('POST', '/api/models/hello/export', {to: 'html'}, 'text/plain')",
    "post a blob of json": """go('/api/models/hello/export', {method: 'POST', mode: 'no-cors',
                              body: new Blob(['{"to": "html"}'], {type: 'application/json'})})""",
    "upload": "go('/api/texts?name=evil.txt', {method: 'POST', mode: 'no-cors', body: 'evil'})",
    "a form that uploads": "form('/api/texts?name=evil.txt', 'text/plain', 'evil', 'text')",
    "a form of parts": "form('/api/texts?name=evil.txt', 'multipart/form-data', 'evil', 'text')",
    "a form that stops a run": "form('/api/runs/hello/stop', 'application/x-www-form-urlencoded', 'a', 'b')",
    "a form of json": "form('/api/runs/hello/resume', 'text/plain', '{\"a\": \"', '\"}')",
    "a beacon": "navigator.sendBeacon(API + '/api/texts?name=evil.txt', new Blob(['evil'], {type: 'text/plain'}))",
    "an old request": """const x = new XMLHttpRequest(); x.withCredentials = true; x.onerror = no;
                         x.onload = () => tell(x.responseText); x.open('GET', API + '/api/models'); x.send()""",
    "an old request that deletes": """const x = new XMLHttpRequest(); x.withCredentials = true; x.onerror = no;
                         x.onload = () => tell(x.responseText);
                         x.open('DELETE', API + '/api/models/hello'); x.send()""",
    "a script": "add('script', {src: API + '/static/studio.js', type: 'module', onload: tell, onerror: no})",
    "a script of data": "add('script', {src: API + '/api/models', onload: tell, onerror: no})",
    "a picture": "add('img', {src: API + '/api/models', onload: tell, onerror: no})",
    "a style": "add('link', {rel: 'stylesheet', href: API + '/static/style.css', onload: tell, onerror: no})",
    "a frame of the page": "peek(add('iframe', {src: API + '/'}))",
    "a frame of the report": "peek(add('iframe', {src: API + '/api/models/hello/report'}))",
    "an object": "peek(add('object', {data: API + '/api/models'}))",
    "a stream of events": """const e = new EventSource(API + '/api/models', {withCredentials: true});
                             e.onmessage = tell; e.onerror = no""",
    "a web socket": """const w = new WebSocket(API.replace('http', 'ws') + '/api/models'); w.onopen = tell;
                       w.onerror = no""",
    "a worker": "try { new Worker(API + '/static/studio.js').onmessage = tell } catch (e) { no(e) }",
    "a module": "import(API + '/static/studio.js').then(tell, no)",
    "the other name": "fetch(API.replace('127.0.0.1', 'localhost') + '/api/models', ALL).then(r => r.text()).then(t => "
                      "t.includes('\"models\"') && tell(t), no)",
    "a wrong key": "go('/?token=aaaaaaaaaaaaaaaaaaaaaaaa')",
}


@pytest.fixture(scope="module")
def visitor(studio: Studio) -> Iterator[Any]:
    """A browser in which the studio is open."""
    with chromium() as browser:
        context = browser.new_context()
        context.new_page().goto(studio.address)
        assert [cookie["name"] for cookie in context.cookies()] == [f"tinylm-{studio.port}"]
        yield context


def attack(visitor: Any, studio: Studio, script: str, host: str) -> str:
    """The text of a page of another site in that browser."""
    content = (f"<!doctype html><title>attack</title><body><script>{START.replace('URL', studio.url)}\n{script}\n"
               "document.body.append('RA' + 'N')</script></body>")
    with Site({"/": content}) as site:
        page = visitor.new_page()
        page.goto(f"http://{host}:{site.port}/", wait_until="commit")
        page.wait_for_timeout(1200)
        seen = str(page.inner_text("body"))
        page.close()
        return seen


def files_kept(studio: Studio) -> list[Path]:
    """The files in the studio's hidden folder."""
    return sorted(path for path in (studio.folder / ".studio").rglob("*") if path.is_file())


def test_there_are_twenty_four() -> None:
    assert len(ATTACKS) >= 24


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_page_of_another_site_learns_and_does_nothing(visitor: Any, studio: Studio, name: str, host: str) -> None:
    before, kept = tree(studio.folder), files_kept(studio)
    seen = attack(visitor, studio, ATTACKS[name], host)
    assert "RAN" in seen
    assert "READ:" not in seen
    assert tree(studio.folder) == before
    assert files_kept(studio) == kept
    assert studio.is_well()


def test_the_studio_itself_does(visitor: Any) -> None:
    """So the requests above are such that they could succeed."""
    found = visitor.pages[0].evaluate("fetch('/api/models', {credentials: 'include'}).then(r => r.text())")
    assert '"hello"' in found
