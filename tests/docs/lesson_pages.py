"""The pages of docs/lesson: `python -m tests.docs.lesson_pages` brings them up to date with what they are made of.

A page is a text between two marks, written by hand. Around it stand its title and question (learn/pages.py), its
exercises (learn/exercises) and the way on. In it, the fence after `<!-- source: FILE NAME -->` is that function or
class of src/tinylm/FILE as it is shipped, and a paragraph that begins with a bold term and a colon defines the term;
the glossary is made of these.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from tinylm.learn.exercise import Exercise
from tinylm.learn.exercises import EXERCISES
from tinylm.learn.pages import PAGES, Page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "lesson"
TEXT, EXERCISES_MARK = "<!-- text -->\n", "<!-- exercises -->\n"
SOURCE = re.compile(r"<!-- source: (\S+) (\S+) -->\n.*?```python\n.*?```", re.DOTALL)
DEFINITION = re.compile(r"^\*\*([^*\n]+)\*\*: (.+?)(?=\n\n|\n*\Z)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Writes every page, the glossary and the contents."""
    for path, text in made().items():
        path.write_text(text, encoding="utf-8", newline="\n")


def made() -> dict[Path, str]:
    """All files of the lesson as they should be."""
    pages = {page: made_page(page, (ROOT / page.path).read_text(encoding="utf-8")) for page in PAGES}
    files = {ROOT / page.path: text for page, text in pages.items()}
    return {**files, FOLDER / "glossary.md": glossary(pages), FOLDER / "README.md": contents()}


def made_page(page: Page, text: str) -> str:
    """A page, with all around its text and all sources in it made anew."""
    body = written(text)
    body = SOURCE.sub(lambda found: shipped(found[1], found[2]), body)
    questions = "".join(map(asked, (each for each in EXERCISES.values() if each.number.startswith(f"{page.number}."))))
    return (f"# {page.number}. {page.title}\n\n*{page.question}*\n\n{TEXT}\n{body}\n\n{EXERCISES_MARK}\n"
            f"## Exercises of page {page.number}\n{questions}\n{way_on(page)}\n")


def written(text: str) -> str:
    """The part of a page that is written by hand."""
    return text.split(TEXT)[1].split(EXERCISES_MARK)[0].strip("\n")


def shipped(file: str, name: str) -> str:
    """A mark of a source, with a link to the file and the lines."""
    return (f"<!-- source: {file} {name} -->\n[{file}](../../src/tinylm/{file}), `{name}`:\n\n"
            f"```python\n{source(file, name)}```")


def source(file: str, name: str) -> str:
    """The lines of a function, class or method, as they are shipped."""
    path = ROOT / "src" / "tinylm" / file
    text = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        node = next(each for each in ast.iter_child_nodes(node) if getattr(each, "name", None) == part)
    assert isinstance(node, ast.FunctionDef | ast.ClassDef), name
    lines = text.splitlines()[node.lineno - 1:node.end_lineno]
    return textwrap.dedent("\n".join(lines)) + "\n"


def asked(exercise: Exercise) -> str:
    """An exercise as the page asks it."""
    question = textwrap.fill(f"**{exercise.number}** {exercise.question}", 150, break_on_hyphens=False)
    return f"\n{question}\n\n    {exercise.command()}\n"


def way_on(page: Page) -> str:
    """Links to the pages before and after, and to the glossary."""
    links = [f"[{other.title}]({Path(other.path).name})" for other in PAGES if abs(other.number - page.number) == 1]
    hint = f"A hint: `tinylm learn hint {page.number}.1`. "
    return f"{hint}Pages beside this one: {' · '.join(links)}. [Contents](README.md), [glossary](glossary.md)."


def definitions(pages: dict[Page, str]) -> list[tuple[str, str, Page]]:
    """Terms with their definitions and pages, in the order of the alphabet."""
    found = [(term, " ".join(meaning.split()), page) for page, text in pages.items()
             for term, meaning in DEFINITION.findall(written(text))]
    return sorted(found, key=lambda each: each[0].lower())


def glossary(pages: dict[Page, str]) -> str:
    """The page of all definitions."""
    lines = "".join(f"- **{term}**: {meaning} ([page {page.number}]({Path(page.path).name}))\n"
                    for term, meaning, page in definitions(pages))
    return f"# Glossary of the lesson\n\nEach term with its definition, and the page that defines it.\n\n{lines}"


def contents() -> str:
    """The page of contents."""
    lines = "".join(f"- [{page.number}. {page.title}]({Path(page.path).name}): {page.question}\n" for page in PAGES)
    return f"""# The lesson

The whole transformer in one evening, on your own model and without a network. You need Python, matrices and a little
PyTorch, and nothing of transformers. Each page has a question, an example worked in numbers, the lines of tinylm that
do it, a command for your own model, and three exercises. Guess the answer to the question before you read on.

{lines}- [Glossary](glossary.md): every term, with its page.

The examples are two small texts that tinylm brings along. `hello` has four sentences, for which counting is enough;
`animals` has three, for which it is not. Two models of them take some ten seconds:

    tinylm train hello --preset notebook --out runs/notebook
    tinylm train animals --preset notebook --epochs 400 --out runs/animals

`tinylm learn` makes of these pages a folder that opens in a browser, with pictures to try;
`tinylm learn runs/YOUR-TEXT "a sentence"` draws the pictures from your own model.

Answers are checked by `tinylm learn check 2.3 ANSWER`, or in Python by `tinylm.learn.check`, and computed at that
moment. `tinylm learn hint 2.3` gives one hint at a time, and `--solution` the answer. What you have solved is kept in a
small file on your machine, which `tinylm learn` names. It may be deleted, and goes nowhere.
"""


if __name__ == "__main__":
    main()
