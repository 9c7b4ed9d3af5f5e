"""Exercises of page 0, ten minutes, and of page 1, text to ids."""

from __future__ import annotations

import math

from tinylm.learn.exercise import Answer, Condition, Exercise, Mistake, RunExercise, ValueExercise
from tinylm.learn.facts import apply_merges, merges, word_tokenizer
from tinylm.text.reading.built_in import HELLO

PROBABILITY = 0.967
"""That the notebook's model gives 'you' after 'hello , how are'."""
SENTENCE = "how are you ?"


def _words() -> list[str]:
    return " ".join(HELLO).split()


def _first_merges() -> Answer:
    return tuple("".join(pair) for pair in merges(_words(), 4))


def _pieces(word: str) -> int:
    return len(apply_merges(word, merges(_words(), 4)))


def _ids(sentence: str = SENTENCE) -> Answer:
    return tuple(map(float, word_tokenizer().encode(sentence)))


EXERCISES: tuple[Exercise, ...] = (
    RunExercise(
        "0.1", "Train the notebook's model on the four sentences of `hello`, and give its folder.", "RUN",
        ("The command begins with `tinylm train hello`; `--preset notebook` chooses the notebook's model.",
         "`--out runs/notebook` names the folder, which is then the answer."),
        (Condition(lambda found: found.lm.config.data.source == "hello",
                   "This model was trained on another text: the source is `hello`."),
         Condition(lambda found: found.report.loss < 0.5,
                   "It has hardly learned yet: leave --steps and --epochs out, the preset trains 200 times over it.")),
        lambda found: f"Its loss is {found.report.loss:.4f} nats a token, of {found.report.tokens} tokens.",
        ("tinylm train hello --preset notebook --out runs/notebook", "tinylm learn check 0.1 runs/notebook")),
    ValueExercise(
        "0.2", f"How many predictions does a model make in reading `{SENTENCE}`, from `<bos>` to `<eos>`?", "N",
        ("One prediction for each token that comes after another one.",
         "The four words and <eos> are predicted; <bos> is expected by nobody."),
        lambda: (len(_ids()) - 1.0,),
        (Mistake(lambda: (len(_ids()) - 2.0,), "The end is predicted, too: <eos> is a token."),
         Mistake(lambda: (float(len(_ids())),), "<bos> is given, and predicted by nobody."))),
    ValueExercise(
        "0.3", f"A model gives the next word the probability {PROBABILITY}, and that word comes. What is the loss of "
               f"this "
        "one prediction, minus the natural logarithm of the probability?", "LOSS",
        ("In Python: `import math`, then `math.log`.", f"-math.log({PROBABILITY})"),
        lambda: (-math.log(PROBABILITY),),
        (Mistake(lambda: (1 - PROBABILITY,), "That is the probability that was missed; the loss is a logarithm."),
         Mistake(lambda: (-math.log2(PROBABILITY),), "That is in bits: take the natural logarithm."),
         Mistake(lambda: (math.log(PROBABILITY),), "The logarithm of a probability is negative: put a minus before."))),
    ValueExercise(
        "1.1", "What are the ids of `how are you ?`, with `<bos>` and `<eos>`, in the vocabulary of `hello`?",
        "ID,ID,...",
        ("The vocabulary stands on the page: <pad> is 0, <bos> 1, <eos> 2, then the words as they first occur.",
         "`tinylm tokenize runs/notebook \"how are you ?\"` shows them."),
        _ids,
        (Mistake(lambda: tuple(float(id) - 1 for id in _ids()), "Ids count from 0, which is <pad>."),)),
    ValueExercise(
        "1.2", "Take the words of `hello` as letters, without the spaces. Which are the first four merges of BPE, of "
        "equally frequent pairs the first in the alphabet? Write each as the piece that it makes.", "PIECE,PIECE,...",
        ("Count each pair of neighbours over all 22 words: four pairs come four times.",
         "The four are h-o, o-w, y-o and o-u, and the first in the alphabet is h-o. Then count again."),
        _first_merges,
        (Mistake(lambda: ("ho", "ou", "ow", "yo"),
                 "After a merge count again: once h-o is one piece, its w follows `ho`, and no longer `o`."),)),
    ValueExercise(
        "1.3", "Of how many pieces are `your` and `Ben` after these four merges?", "N,N",
        ("Write the word as letters, then apply the merges in their order.",
         "`your` begins with the piece that the fourth merge made; of `Ben` no pair was ever merged."),
        lambda: (float(_pieces("your")), float(_pieces("Ben"))),
        (Mistake(lambda: (1.0, 3.0), "No merge has taken in the r: `you` and `r` are two pieces."),
         Mistake(lambda: (2.0, 1.0), "Nobody has merged the letters of `Ben`: each stays a piece. It is no unknown "
                                     "word, and no error."))),
)
