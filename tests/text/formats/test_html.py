"""What a reader of a page sees is what is learned from it."""

from __future__ import annotations

import pytest

from tests.text.formats.conftest import Reader
from tinylm.text.formats.html import text_of

PAGES = {
    "paragraphs and breaks": ("<p>One <b>bold</b>\n  word.<p>Two<br>lines<br/>", "One bold word.\n\nTwo\nlines\n"),
    "what is not seen": ("<head><title>T</title><style>p{}</style></head><nav>Home</nav><script>a<b</script>"
                         "<!-- no --><p>text</p><noscript>no</noscript><svg><text>no</text></svg>", "text\n"),
    "a head without an end": ("<html><head><title>T</title><p>text</p>", "text\n"),
    "a body without tags": ("<html><body>just text</body></html>", "just text\n"),
    "entities": ("<p>caf&eacute; &amp; &#8220;th&#xe9;&#8221; &lt;3&nbsp;&mdash;", "café & “thé” <3\xa0—\n"),
    "white space as it was set": ("<pre>a\n   b\n\nc</pre>", "a\n   b\n\nc\n"),
    "lists and tables": ("<ul><li>one<li>two</ul><table><tr><th>a<td>b<tr><td>c<td>d</table>",
                         "one\ntwo\n\na\tb\nc\td\n"),
    "words that meet at tags": ("<i>in</i>side <div>block</div>after<span> it</span>", "inside\nblock\nafter it\n"),
    "readings and soft hyphens": ("<ruby>漢<rp>(</rp><rt>kan</rt></ruby>字 so&shy;ft <ruby>語<rt>go</ruby>x",
                                  "漢字 soft 語x\n"),
    "broken markup": ("<p>a < b and <unclosed <p>c</q></p></div>d", "a < b and c\n\nd\n"),
    "nothing": ("<html><head></head><body></body></html>", ""),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_text_of_a_page(name: str) -> None:
    page, text = PAGES[name]
    assert text_of(page) == text


def test_pages_name_their_encoding(read: Reader) -> None:
    page = '<html><head><meta charset="{}"></head><body><p>Grüße “quoted” 100 €</p></body></html>'
    text = "Grüße “quoted” 100 €\n"
    for name, encoding in (("iso-8859-1", "cp1252"), ("windows-1252", "cp1252"), ("utf-8", "utf-8")):
        assert read("a.html", page.format(name).encode(encoding)).documents == [text]
    chinese = '<meta http-equiv="Content-Type" content="text/html; charset=gb2312"><p>你好，世界'
    assert read("b.htm", chinese.encode("gb18030")).documents == ["你好，世界\n"]
    saved_anew = page.format("iso-8859-1").encode()
    assert read("c.html", saved_anew).documents == [text], "UTF-8, whatever it names"
    assert read("d.html", page.format("x-none").encode("utf-16")).documents == [text]
    assert read("e.html", page.format("utf-8").encode("cp1250"), encoding="cp1250").documents == [text]
