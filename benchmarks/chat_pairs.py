"""Questions and answers of an invented bakery: 300 pairs to tune a chat with, and 60 near questions to try it with.

Each of 75 facts is asked in four wordings in the file. A near question asks for one of them in a fifth wording, so a
right answer shows that the model finds a fact by what is asked, and not by the sentence.

    python -m benchmarks.chat_pairs FOLDER      writes FOLDER/bakery.csv and FOLDER/near.csv

`--near N` asks in the Nth wording instead, which is then not in the file: a choice that was made by the near questions
of one wording is judged by those of another.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

N_NEAR = 60
SEED = 1


class Pair(NamedTuple):
    """A question with its answer."""

    question: str
    answer: str


class Fact(NamedTuple):
    """An answer with five questions for it."""

    answer: str
    questions: tuple[str, ...]


def make_pairs(near_wording: int = 5) -> tuple[list[Pair], list[Pair]]:
    """The pairs of the file, and the near ones, in that wording (from 1 on): always the same, in the same order."""
    facts = list(_facts())
    random = np.random.default_rng(SEED)
    pairs = [Pair(question, fact.answer) for fact in facts
             for number, question in enumerate(fact.questions, start=1) if number != near_wording]
    near = [Pair(fact.questions[near_wording - 1], fact.answer) for fact in facts]
    return ([pairs[number] for number in random.permutation(len(pairs))],
            [near[number] for number in random.permutation(len(near))[:N_NEAR]])


def write(folder: Path, near_wording: int = 5) -> None:
    """Writes both files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in zip(("bakery.csv", "near.csv"), make_pairs(near_wording), strict=True):
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([Pair._fields, *pairs])


# ---- the bakery

_HOURS = {"Tuesday": "from 7 to 18", "Wednesday": "from 7 to 18", "Thursday": "from 7 to 19", "Friday": "from 7 to 19",
          "Saturday": "from 8 to 14", "Sunday": "from 8 to 11", "Monday": ""}
_PRICES = {
    "a rye loaf": "4.20", "a wheat loaf": "3.80", "a spelt loaf": "4.90", "a seed loaf": "5.10", "a baguette": "2.40",
    "a plain roll": "0.60", "a poppy roll": "0.80", "a pretzel": "1.10", "a croissant": "1.90",
    "a cinnamon bun": "2.20",
    "an apple tart": "3.40", "a plum tart": "3.60", "a cheesecake": "28.00", "a chocolate cake": "31.00",
    "a carrot cake": "27.00", "a lemon cake": "24.00", "a nut wreath": "12.50", "a bag of rusks": "3.10",
    "a cup of coffee": "2.50", "a pot of tea": "3.00"}
_NUTS = {"rye loaf": False, "seed loaf": True, "spelt loaf": False, "croissant": False, "cinnamon bun": True,
         "apple tart": False, "plum tart": True, "cheesecake": False, "chocolate cake": True, "carrot cake": True,
         "lemon cake": False, "nut wreath": True}
_OVEN = {"rye loaf": "5", "wheat loaf": "half past 5", "spelt loaf": "6", "seed loaf": "half past 6", "baguette": "7",
         "pretzel": "8", "croissant": "a quarter to 7", "cinnamon bun": "9", "apple tart": "10",
         "plum tart": "half past 10", "nut wreath": "11", "lemon cake": "noon"}
_PEOPLE = {"bakes the bread": "Ada", "makes the cakes": "Boris", "stands at the counter": "Clara",
           "writes the bills": "Dev", "drives the van": "Edith", "orders the flour": "Farid",
           "cleans the ovens": "Greta", "paints the signs": "Hugo"}
_OTHERS = (
    Fact("We are at 12 Alder Street.", ("Where are you?", "What is your address?", "Where can I find you?",
                                        "In which street are you?", "Where is the bakery?")),
    Fact("Our number is 555 0142.", ("What is your phone number?", "How can I call you?", "Can I ring you up?",
                                     "Which number do I dial?", "What is the number of your phone?")),
    Fact("We take cash and all cards.", ("Can I pay by card?", "Do you take cards?", "Is card payment possible?",
                                          "Do I need cash?", "Can I use my card to pay?")),
    Fact("There are six places behind the house.", ("Where can I park?", "Is there parking?",
                                                    "Do you have parking places?",
                                                    "Can I leave my car somewhere?", "Where can I park my car?")),
    Fact("We deliver on Fridays, for 5.00.", ("Do you deliver?", "Can you bring my order?", "Is there a delivery?",
                                              "When do you deliver?", "Do you deliver to my house?")),
    Fact("Please order cakes two days ahead.", ("When must I order a cake?", "How early should I order cakes?",
                                                "How do I order a cake?", "Can I order a cake for tomorrow?",
                                                "How many days ahead must I order a cake?")),
    Fact("Yes, the password is sourdough.", ("Do you have wifi?", "What is the wifi password?", "Is there wireless?",
                                             "Can I use your wifi?", "Is there wifi in the bakery?")),
    Fact("There are twelve seats inside and eight outside.", ("How many seats do you have?", "Can I sit down?",
                                                              "Are there tables?", "Can we sit outside?",
                                                              "How many seats are there?")),
    Fact("Dogs are welcome outside.", ("Can I bring my dog?", "Are dogs allowed?", "May my dog come in?",
                                       "Do you allow dogs?", "Is my dog allowed?")),
    Fact("The bakery was founded in 1926.", ("When was the bakery founded?", "How old is the bakery?",
                                             "Since when are you here?", "When did you begin?",
                                             "In which year was the bakery founded?")),
    Fact("Yes, vouchers begin at 10.00.", ("Do you sell vouchers?", "Can I buy a voucher?", "Are there gift vouchers?",
                                           "What does a voucher cost?", "Do you have vouchers?")),
    Fact("What is left goes to the food bank.", ("What happens to old bread?", "What do you do with what is left?",
                                                 "Where does unsold bread go?", "Do you throw bread away?",
                                                 "What happens to bread that is left?")),
    Fact("Bread keeps best in a linen bag.", ("How do I keep bread fresh?", "How should I store bread?",
                                              "Where does bread keep best?", "Does bread belong in the fridge?",
                                              "What keeps bread fresh?")),
    Fact("Our flour comes from the mill at Lowford.", ("Where is your flour from?", "Which mill do you use?",
                                                       "Who mills your flour?", "Where do you buy flour?",
                                                       "Where does the flour come from?")),
    Fact("Yes, on the first Saturday of each month.", ("Do you give baking courses?", "Can I learn to bake?",
                                                       "Is there a course?", "When is the baking course?",
                                                       "Are there courses in baking?")),
    Fact("Yes, write to Dev.", ("Do you need help?", "Are there jobs?", "Can I work for you?", "How do I apply?",
                                "Can I get a job in the bakery?")),
)


def _facts() -> Iterator[Fact]:
    """Yields the 75 facts."""
    for day, hours in _HOURS.items():
        answer = f"On {day} we are open {hours}." if hours else f"On {day} we are closed."
        yield Fact(answer, (f"When are you open on {day}?", f"What are your hours on {day}?", f"Are you open on {day}?",
                            f"How long are you open on {day}?", f"Can I come on {day}?"))
    for goods, price in _PRICES.items():
        yield Fact(f"{goods.capitalize()} is {price}.", (
            f"How much is {goods}?", f"What does {goods} cost?", f"What is the price of {goods}?",
            f"How much do you ask for {goods}?", f"How much does {goods} cost?"))
    for goods, has_nuts in _NUTS.items():
        answer = f"Yes, there are nuts in the {goods}." if has_nuts else f"No, there are no nuts in the {goods}."
        yield Fact(answer, (f"Are there nuts in the {goods}?", f"Does the {goods} have nuts?",
                            f"Is the {goods} made with nuts?", f"Do you put nuts into the {goods}?",
                            f"Does the {goods} contain nuts?"))
    for goods, hour in _OVEN.items():
        yield Fact(f"The {goods} is out of the oven at {hour}.", (
            f"When is the {goods} ready?", f"When is the {goods} out of the oven?", f"When can I get a warm {goods}?",
            f"At what time is the {goods} baked?", f"At what time is the {goods} ready?"))
    for work, name in _PEOPLE.items():
        yield Fact(f"{name} {work}.", (f"Who {work}?", f"Which of you {work}?", f"Tell me who {work}.",
                                       f"What is the name of the one who {work}?", f"Do you know who {work}?"))
    yield from _OTHERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--near", type=int, choices=range(1, 6), default=5, help="the wording that the file lacks")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.near)


if __name__ == "__main__":
    main()
