"""Pages that are one file: a module with all that it needs, and the data that it reads, in elements of the page.

The page's policy lets the code run and nothing else, and loads nothing.
"""

from __future__ import annotations

from string import Template

from tinylm.page.markup import content_policy, escape_html
from tinylm.page.modules import join_modules, read_module


def make_page(module: str, data: str, *, name: str, generator: str, web_assembly: bool = False) -> str:
    """A page as HTML.

    Args:
        module: the path of the module that draws it.
        data: elements that it reads, such as `json_element` makes.
        name: of the model, for the title.
        generator: the mark in its head by which a page that tinylm made is known.
        web_assembly: the module compiles WebAssembly.

    >>> make_page("explanation_file.js", "", name="<b>", generator="tinylm").count("<b>")
    0
    """
    code = join_modules(module)
    return Template(read_module("single_file.html")).substitute(
        generator=generator, policy=content_policy([code], web_assembly=web_assembly), name=escape_html(name),
        style=read_module("style.css"), data=data, code=code)
