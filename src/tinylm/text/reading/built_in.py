"""Built-in texts, so that nothing is downloaded: sentences of the lesson, and texts that Python installs."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tinylm.text.reading.manual import passages
from tinylm.text.reading.sources import Documents, Options, Source, file_source, kind_of, walk

HELLO = ("hello , how are you ?", "hello , how is your day ?", "how are you ?", "how is your day ?")
"""The four sentences of the teaching notebook, in its order."""

ANIMALS = ("the cat says meow .", "the dog says woof .", "the cow says moo .")
"""Sentences whose fourth word follows from the second alone, past a word that is the same in all: whoever only counts
which word follows which must guess it, and whoever looks back need not."""

SENTENCES = (HELLO, ANIMALS)
"""The built-in texts that are a few sentences, whose lowest loss possible can be computed (evaluation/entropy.py)."""


def _sentences(name: str, sentences: tuple[str, ...], options: Options) -> list[Source]:
    """A document a line, unless another kind of documents was chosen."""
    kind: Documents = "line" if options.documents == "auto" else options.documents  # type: ignore[assignment]
    return [Source(name, kind, lambda: iter(["\n".join(sentences) + "\n"]))]


def _python_reference(options: Options) -> list[Source]:
    from pydoc_data.topics import topics

    kind = kind_of(Path(), options.documents)
    return [Source("python-reference", kind, partial(iter, [passage])) for passage in passages(topics)]


def _python_stdlib(options: Options) -> list[Source]:
    folder = Path(sysconfig.get_path("stdlib"))
    others = ("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__")
    paths = [path for path in walk(folder, without=others) if path.suffix == ".py" and path.stat().st_size]
    return [file_source(path, options) for path in paths]


BUILT_IN: dict[str, Callable[[Options], list[Source]]] = {
    "hello": partial(_sentences, "hello", HELLO), "animals": partial(_sentences, "animals", ANIMALS),
    "python-reference": _python_reference, "python-stdlib": _python_stdlib,
}
