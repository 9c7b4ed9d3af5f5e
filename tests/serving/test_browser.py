"""Pages of another site in a real browser: none reads or changes anything of the server (promises S2, S3).

Each attack writes READ: and what it has learnt into its page; its own script spells that in two parts. That a page
could do so shows where a server lets its site in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .browser import CHROMIUM, Site, visit
from .server import Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")]
NAME = "characters"
START = f"""
const API = 'URL', BODY = JSON.stringify({{model: '{NAME}', prompt: 'a', max_tokens: 9}});
const tell = text => text && document.body.append('RE' + 'AD:' + text);
const no = error => document.body.append('NO:' + error);
"""
ATTACKS = {
    "fetch": "fetch(API + '/v1/models').then(r => r.text()).then(tell, no)",
    "fetch, and no questions": "fetch(API + '/v1/models', {mode: 'no-cors'}).then(r => r.text()).then(tell, no)",
    "post json": """fetch(API + '/v1/completions', {method: 'POST', body: BODY, headers: {'Content-Type':
                    'application/json'}}).then(r => r.text()).then(tell, no)""",
    "post text": """fetch(API + '/v1/completions', {method: 'POST', body: BODY, mode: 'no-cors'}).then(r => r.text())
                    .then(tell, no)""",
    "post a blob of json": """fetch(API + '/v1/completions', {method: 'POST', mode: 'no-cors', body: new Blob([BODY],
                              {type: 'application/json'})}).then(r => r.text()).then(tell, no)""",
    "post a form": """fetch(API + '/v1/completions', {method: 'POST', mode: 'no-cors', body:
                      new URLSearchParams({a: BODY})}).then(r => r.text()).then(tell, no)""",
    "with credentials": "fetch(API + '/v1/models', {credentials: 'include'}).then(r => r.text()).then(tell, no)",
    "with a key": """fetch(API + '/v1/models', {headers: {Authorization: 'Bearer x'}}).then(r => r.text())
                     .then(tell, no)""",
    "an old request": """const x = new XMLHttpRequest(); x.onload = () => tell(x.responseText); x.onerror = no;
                         x.open('GET', API + '/v1/models'); x.send()""",
    "an old request that posts": """const x = new XMLHttpRequest(); x.onload = () => tell(x.responseText);
                                    x.onerror = no; x.open('POST', API + '/v1/completions'); x.send(BODY)""",
    "a beacon": "navigator.sendBeacon(API + '/v1/completions', new Blob([BODY], {type: 'text/plain'}))",
    "a form": """document.body.innerHTML += `<iframe name=f></iframe><form id=g target=f method=post
                 enctype=text/plain action="${API}/v1/completions"><input name=x value=y></form>`;
                 document.forms.g.elements.x.name = BODY; document.forms.g.submit()""",
    "a script": """const s = document.createElement('script'); s.src = API + '/v1/models'; s.onload = tell;
                   s.onerror = no; document.head.append(s)""",
    "a picture": "const i = new Image(); i.onload = tell; i.onerror = no; i.src = API + '/metrics'",
    "a style": """const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = API + '/metrics';
                  l.onload = tell; l.onerror = no; document.head.append(l)""",
    "a frame": """const f = document.createElement('iframe'); f.src = API + '/v1/models'; f.onload = () => { try {
                  tell(f.contentDocument.body.innerText) } catch (e) { no(e) } }; document.body.append(f)""",
    "an object": """const o = document.createElement('object'); o.data = API + '/v1/models'; o.onload = () => { try {
                    tell(o.contentDocument.body.innerText) } catch (e) { no(e) } }; document.body.append(o)""",
    "a stream of events": "const e = new EventSource(API + '/v1/models'); e.onmessage = tell; e.onerror = no",
    "a web socket": """const w = new WebSocket(API.replace('http', 'ws') + '/v1/models'); w.onopen = tell;
                       w.onerror = no""",
    "a worker": "try { new Worker(API + '/v1/models').onmessage = tell } catch (e) { no(e) }",
    "a module": "import(API + '/v1/models').then(tell, no)",
    "a sandboxed frame": """document.body.innerHTML += `<iframe sandbox=allow-scripts srcdoc="<script>
                            fetch('${API}/v1/models').then(r => r.text()).then(t => parent.postMessage(t, '*'))
                            </scr` + `ipt>"></iframe>`; onmessage = m => tell(m.data)""",
    "its own name": "fetch(API.replace('127.0.0.1', 'evil.example') + '/v1/models').then(r => r.text()).then(tell, no)",
    "localhost": "fetch(API.replace('127.0.0.1', 'localhost') + '/v1/models').then(r => r.text()).then(tell, no)",
}


def page(attack: str, server: Server) -> str:
    script = f"{START.replace('URL', server.url)}\n{attack}\ndocument.body.append('RA' + 'N')"
    return f"<!doctype html><title>attack</title><body><script>{script}</script></body>"


def test_there_are_twenty_of_them() -> None:
    assert len(ATTACKS) >= 20


@pytest.mark.parametrize("name", ATTACKS)
def test_a_page_of_another_site_learns_and_does_nothing(server: Server, name: str) -> None:
    before = server.gauge("tinylm_completion_tokens_total")
    with Site({"/": page(ATTACKS[name], server)}) as site:
        seen = visit(f"http://evil.example:{site.port}/")
    assert "RAN" in seen
    assert "READ:" not in seen
    assert server.gauge("tinylm_completion_tokens_total") == before
    assert server.is_well()


def test_a_page_of_a_site_that_is_named_does(runs: Path) -> None:
    """So the attacks above are such that they could succeed."""
    pages: dict[str, str] = {}
    with Site(pages) as site, Server(runs, "--allow-origin", f"http://evil.example:{site.port}") as server:
        for name in ("fetch", "post json", "an old request", "with a key"):
            pages["/"] = page(ATTACKS[name], server)
            seen = visit(f"http://evil.example:{site.port}/")
            assert "READ:{" in seen, name


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "127.0.0.1.example"])
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/openapi.json", "/healthz", "/"])
def test_a_foreign_name_that_leads_here_is_refused(server: Server, name: str, path: str) -> None:
    """What the owner of a name can do: have it lead to his own machine first, and then to this one."""
    seen = visit(f"http://{name}:{server.port}{path}")
    assert "host_not_allowed" in seen
    assert NAME not in seen
    assert "host_not_allowed" not in visit(f"http://127.0.0.1:{server.port}{path}")
