"""Exercises of page 11, from the toy to other models, and of page 12, and then."""

from __future__ import annotations

from tinylm.config.schema import ModelConfig
from tinylm.inspection.structure import kv_cache_bytes, total_parameters
from tinylm.learn.exercise import Answer, Condition, Exercise, Found, Mistake, RunExercise, ValueExercise
from tinylm.learn.facts import word_tokenizer

TOKENS_A_WEIGHT = 20
"""Tokens of text for each weight, of a model that makes the best of its arithmetic (Hoffmann et al. 2022, arXiv
2203.15556)."""
NUMBERS_A_WEIGHT = 4
"""Numbers that training with Adam holds for each weight: itself, its gradient, and Adam's two means."""


def gpt2_weights() -> float:
    """The weights of a small model of GPT-2's shape."""
    return float(total_parameters(ModelConfig.preset(
        "gpt2", vocab_size=256, d_model=64, n_layers=2, n_heads=2, context_length=128)))


def notebook_weights(**shape: int) -> float:
    """The weights of the notebook's model, in its own shape or another."""
    return float(total_parameters(ModelConfig.preset("notebook", vocab_size=word_tokenizer().vocab_size, **shape)))


def cached_numbers() -> Answer:
    """Numbers that the cache keeps for one position in one layer: with 8 key/value heads of 64, and with 2."""
    return tuple(kv_cache_bytes(ModelConfig(vocab_size=9, d_model=512, n_heads=8, n_kv_heads=heads, n_layers=1), 1) / 4
                 for heads in (8, 2))


def best_baseline(found: Found) -> float:
    """The bits a byte of the best of the baselines that count."""
    return min(bits for name, bits in found.report.baselines.items() if name not in ("entropy", "base"))


SHAPES: tuple[Exercise, ...] = (
    ValueExercise(
        "11.1", "How many weights has a model of `--preset gpt2` with 256 entries, d_model 64, 2 layers of 2 heads, "
        "d_mlp 256 and a "
        "context of 128? (Learned positions; biases; the output head is the embedding.)", "N",
        ("Embedding 256 * 64, positions 128 * 64; in each layer four matrices of attention, two of the MLP, two norms; "
         "at the end a norm. Each matrix has a bias, each norm a weight and a bias.",
         "256*64 + 128*64 + 2 * (4*65*64 + 65*256 + 257*64 + 4*64) + 2*64"),
        lambda: (gpt2_weights(),),
        (Mistake(lambda: (gpt2_weights() + 256 * 64,), "The output head is the embedding once more: it is not counted "
                                                       "twice."),
         Mistake(lambda: (gpt2_weights() - 128 * 64,), "The positions are learned: a row of 64 for each of 128."),
         Mistake(lambda: (gpt2_weights() - 128,), "There is a last norm, ln_f."))),
    ValueExercise(
        "11.2", "A layer has 8 heads of 64 numbers. How many numbers does the key/value cache keep for one position "
        "if each head has "
        "keys and values of its own, and how many if 4 heads share them (2 key/value heads)?", "OWN,SHARED",
        ("A key and a value for each key/value head, 64 numbers each.", "2 * 8 * 64, and 2 * 2 * 64"),
        cached_numbers,
        (Mistake(lambda: tuple(float(n) / 2 for n in cached_numbers()), "A key and a value: two vectors."),)),
    ValueExercise(
        "11.3", "The notebook's model has 17,932 weights. How many has it with d_model 64 and d_mlp 128 in place of "
        "32 and 64?", "N",
        ("Write its formula with 64 for 32 and 128 for 64: page 11 has it, and `tinylm inspect`.",
         "12*64 + 2*(4*65*64 + 65*128 + 129*64 + 4*64) + 2*64 + 65*12"),
        lambda: (notebook_weights(d_model=64, d_mlp=128),),
        (Mistake(lambda: (2 * notebook_weights(),), "A matrix has two sides, and both become twice as long."),
         Mistake(lambda: (4 * notebook_weights(),), "Biases, norms and the embedding only double."))),
)

FURTHER: tuple[Exercise, ...] = (
    ValueExercise(
        "12.1", "A rule for large models says 20 tokens of text for each weight. How many tokens were that for 0.8 "
        "million weights?",
        "TOKENS",
        ("A multiplication.", "20 * 800000"),
        lambda: (TOKENS_A_WEIGHT * 800_000.0,)),
    ValueExercise(
        "12.2", "Training with Adam holds four numbers for each weight: the weight, its gradient, and two means. How "
        "many megabytes "
        "(millions of bytes) is that for 25 million weights, 4 bytes a number?", "MEGABYTES",
        ("Four numbers of 4 bytes are 16 bytes a weight.", "25 * 16"),
        lambda: (25.0 * NUMBERS_A_WEIGHT * 4,),
        (Mistake(lambda: (100.0,), "That is for the weights alone."),)),
    RunExercise(
        "12.3", "Train a model on a text of your own that is better than every kind of counting, and give its "
        "folder.", "RUN",
        ("The last lines of `tinylm train` say which baseline it has beaten, and by how much.",
         "A text of 100 KB or more, and `--minutes 3`, are a good beginning."),
        (Condition(lambda found: found.lm.config.data.source not in ("hello", "animals"),
                   "This is one of the lesson's texts: take one of your own."),
         Condition(lambda found: found.report.split == "validation", "Nothing was held out: leave --validation out."),
         Condition(lambda found: found.report.bits_per_byte < best_baseline(found),
                   "Counting is still better: more text, or more minutes.")),
        lambda found: f"{found.report.bits_per_byte:.3f} bits a byte, and the best kind of counting has "
                      f"{best_baseline(found):.3f}.",
        ("tinylm train YOUR-TEXT.txt --minutes 3", "tinylm learn check 12.3 runs/YOUR-TEXT")),
)

EXERCISES = SHAPES + FURTHER
