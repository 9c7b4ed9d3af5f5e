"""Little facts of the built-in chat `sums`: tables, and the wordings in which each row is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


_ONES = _words("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
         "seventeen eighteen nineteen")
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")


def in_words(number: int) -> str:
    """A number from 0 to 99 in English words.

    >>> in_words(47)
    'forty-seven'
    """
    if number < 20:
        return _ONES[number]
    tens, ones = _TENS[number // 10 - 2], number % 10
    return f"{tens}-{_ONES[ones]}" if ones else tens


class Fact(NamedTuple):
    """An answer, and the questions that all have it."""

    answer: str
    wordings: tuple[str, ...]


def _asked(wordings: tuple[str, ...], rows: Iterable[tuple[str, str]]) -> Iterator[Fact]:
    """Yields a fact for each (what is asked of, answer)."""
    return (Fact(answer, tuple(wording.format(given) for wording in wordings)) for given, answer in rows)


def _in_a_row(names: list[str], is_circle: bool) -> Iterator[Fact]:
    """Yields what comes after and before each name; in a circle the first comes after the last."""
    after = list(zip(names, names[1:] + names[:1] if is_circle else names[1:], strict=False))
    yield from _asked(_AFTER, after)
    yield from _asked(_BEFORE, [(second, first) for first, second in after])


def _both_ways(text: str) -> list[tuple[str, str]]:
    pairs = [(first, second) for first, second in map(str.split, text.split(","))]
    return pairs + [(second, first) for first, second in pairs]


_AFTER = ("What comes after {0}?", "what comes after {0}", "What follows {0}?", "Which one is next after {0}?")
_BEFORE = ("What comes before {0}?", "what comes before {0}", "What precedes {0}?", "Which one is just before {0}?")
_OPPOSITE = ("What is the opposite of {0}?", "what is the opposite of {0}", "The opposite of {0}?", "opposite of {0}")
_SOUND = ("What does {0} say?", "what does {0} say", "Which sound does {0} make?")
_YOUNG = ("What is the young of {0} called?", "what is the young of {0} called", "Which young does {0} have?")
_LEGS = ("How many legs does {0} have?", "how many legs does {0} have", "How many legs has {0}?")
_COLOUR = ("What colour is {0}?", "what colour is {0}", "Which colour is {0}?")
_LETTERS = ("How many letters are in {0}?", "how many letters are in {0}", "Count the letters of {0}.")
_FIRST = ("What is the first letter of {0}?", "first letter of {0}", "Which letter does {0} begin with?")

DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")
_OPPOSITES = ("big small,hot cold,up down,day night,left right,old young,fast slow,high low,open closed,full empty,"
              "light dark,wet dry,hard soft,early late,first last,good bad,happy sad,rich poor,strong weak,true false,"
              "long short,loud quiet,near far,inside outside,above below,thick thin,clean dirty,sweet sour,"
              "begin end,win lose,give take,laugh cry,push pull,buy sell,float sink,remember forget")
_SOUNDS = "cat meow,dog woof,cow moo,sheep baa,duck quack,bee buzz,lion roar,pig oink,owl hoot,snake hiss,frog croak"
_YOUNGS = "cat kitten,dog puppy,cow calf,sheep lamb,duck duckling,horse foal,goat kid,hen chick,lion cub,goose gosling"
_LEGGED = "dog 4,cat 4,horse 4,hen 2,duck 2,bee 6,ant 6,spider 8,snake 0,fish 0,cow 4,fly 6"
_COLOURS = {"the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a lemon": "yellow", "blood": "red",
            "milk": "white", "a leaf": "green", "a banana": "yellow", "chocolate": "brown", "a tomato": "red",
            "an elephant": "grey"}
_SPELLED = _words("sun moon star tree house river bread water stone cloud apple winter summer garden window table")
_SMALL_TALK = (
    ("Hello! Ask me a sum or a little fact.", ("Hello", "hello", "Hi", "hi", "Hello!", "Good day")),
    ("I am a very small language model. I know sums up to 99 + 99 and some little facts.",
     ("Who are you?", "who are you", "What are you?", "What is your name?", "What can you do?")),
    ("You are welcome.", ("Thank you", "thank you", "Thanks", "thanks", "Thank you!")),
    ("Goodbye!", ("Goodbye", "goodbye", "Bye", "bye", "Goodbye!")),
)


def _of_animals(text: str) -> list[tuple[str, str]]:
    rows = [(animal, answer) for animal, answer in map(str.split, text.split(","))]
    return [(f"{'an' if animal[0] in 'aeiou' else 'a'} {animal}", answer) for animal, answer in rows]


FACTS: tuple[Fact, ...] = (
    *_in_a_row(DAYS, is_circle=True), *_in_a_row(MONTHS, is_circle=True),
    *_in_a_row([chr(ord("A") + number) for number in range(26)], is_circle=False),
    *_asked(_OPPOSITE, _both_ways(_OPPOSITES)),
    *_asked(_SOUND, _of_animals(_SOUNDS)), *_asked(_YOUNG, _of_animals(_YOUNGS)), *_asked(_LEGS, _of_animals(_LEGGED)),
    *_asked(_COLOUR, _COLOURS.items()),
    *_asked(_LETTERS, [(word, str(len(word))) for word in _SPELLED]),
    *_asked(_FIRST, [(word, word[0]) for word in _SPELLED]),
    *(Fact(answer, wordings) for answer, wordings in _SMALL_TALK),
)
"""All facts, each in at least three wordings."""
