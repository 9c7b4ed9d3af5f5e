"""Pages of the lesson: a table of their names and of the question that each answers. Their text is in docs/lesson/."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """A page of the lesson.

    Attributes:
        number: of the page, from 0; its exercises are `number`.1, `number`.2, ...
        name: of its file, after the number.
        title: for people.
        question: that the page answers.
    """

    number: int
    name: str
    title: str
    question: str

    @property
    def path(self) -> str:
        """The file of the page in the repository."""
        return f"docs/lesson/{self.number:02}-{self.name}.md"


PAGES = tuple(Page(number, *words) for number, words in enumerate((
    ("ten-minutes", "Ten minutes", "What does a language model do, all day long?"),
    ("tokens", "Text to ids", "How does a sentence become numbers, and what of a word that nobody has seen?"),
    ("counting", "Counting first", "How good is a guess, and how is that measured?"),
    ("learning", "Learning is one step, many times", "How does a model know in which direction to change a weight?"),
    ("embedding", "The embedding", "What does a row of the embedding learn?"),
    ("attention", "Attention by hand", "How does a position fetch what stands elsewhere?"),
    ("past", "Seeing only the past, and knowing where", "What may a position see, and how does it know the order?"),
    ("stream", "The stream", "What runs through all layers, and what do norms and MLPs do to it?"),
    ("run", "A run", "When has a model learned, and when has it learned by heart?"),
    ("writing", "Writing", "How does a list of probabilities become a text?"),
    ("inside", "Inside yours", "Which part of my model does what?"),
    ("shapes", "From the toy to GPT-2, Llama and Qwen3", "What lies between the demo and the models of the world?"),
    ("further", "And then", "How large, on how much text, and what for?"),
)))
