"""Notes of imports and exports: sentences on what another program does not do as tinylm does, in the same words for all
formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.interchange.source import Dtype, ExportedModel

PastContext = Literal["ends", "fails", "goes on"]
_ROUNDED: dict[Dtype, str] = {
    "f16": "The weights are rounded to 16 bits: logits differ from about the third digit on.",
    "q8_0": "The weights are rounded to 8 bits, with a scale for each 32 numbers: logits differ from about the second "
            "digit on, and a greedy text may be another."}


@dataclass(frozen=True)
class Program:
    """A program that reads exports, as far as it does something else than tinylm.

    Attributes:
        name: for people.
        past_context: what it does with a text that outgrows the context length: by rotary or no positions, and by
            learned ones. None: it forgets the front, as tinylm does.
        left_out: the sampling settings that it does not take from an export.
        reads_typed_control: where the text of a control token becomes that token, beside imported tokenizers:
            everywhere, in models with a chat template, or nowhere.
        max_ends: ids that may end a text, at most; None: any number.
        reads_as_tinylm: True: an unknown character is an error, and typed control text stays text.
    """

    name: str
    past_context: tuple[PastContext, PastContext] | None
    left_out: tuple[str, ...]
    reads_typed_control: Literal["always", "in chats", "never"] = "never"
    max_ends: int | None = None
    reads_as_tinylm: bool = False


_NOWHERE = ("prefix", "banned_tokens", "logit_bias")
TRANSFORMERS = Program("transformers", ("goes on", "fails"),
                       (*_NOWHERE, "frequency_penalty", "presence_penalty", "stop"), reads_typed_control="in chats")
TRANSFORMERS_JS = Program("transformers.js", ("goes on", "fails"),
                          (*TRANSFORMERS.left_out, "top_p", "min_p", "typical_p"), reads_typed_control="always")
LLAMA_CPP = Program("llama.cpp", ("ends", "ends"),
                    (*_NOWHERE, "typical_p", "min_tokens", "beams", "length_penalty", "early_stopping"), max_ends=3)
PAGE = Program("the page", None, ("prefix", "stop", *LLAMA_CPP.left_out[4:]), reads_as_tinylm=True)


def export_notes(model: ExportedModel, config: ModelConfig, dtype: Dtype, program: Program) -> list[str]:
    """The notes of an export.

    Args:
        config: the shape as the format holds it.
        dtype: the number format of the matrices.
        program: what will read it.

    Returns:
        Whole sentences.

    >>> from tinylm.interchange.export import read_model
    >>> model = read_model("runs/book")
    >>> export_notes(model, model.config.model, "f32", LLAMA_CPP)[0]
    'llama.cpp ends a text at 96 tokens; tinylm forgets its front.'
    """
    return [*_past_context(config, program), *_of_tokenizer(model, program),
            *_of_sampling(model.config.sample, program), *([_ROUNDED[dtype]] if dtype in _ROUNDED else [])]


def _past_context(config: ModelConfig, program: Program) -> list[str]:
    if program.past_context is None:
        return []
    length = f"{config.context_length:,}"
    return [{
        "ends": f"{program.name} ends a text at {length} tokens; tinylm forgets its front.",
        "fails": f"A text of more than {length} tokens is an error in {program.name}; tinylm forgets its front.",
        "goes on": f"Past {length} tokens {program.name} goes on without forgetting, into positions that the model was "
                   "not trained on; tinylm forgets the front of the text.",
    }[program.past_context[config.positions == "learned"]]]


def _of_tokenizer(model: ExportedModel, program: Program) -> list[str]:
    tokenizer = model.tokenizer
    name, imported, n_ends = program.name, tokenizer.kind == "imported", len(tokenizer.specials.ends)
    finds_control = {"always": True, "in chats": bool(model.chat_template), "never": False}
    notes = {
        f"A text is read as it stands in {name}; tinylm also understands near spellings, such as curly quotes for "
        "straight ones.": not imported,
        f"A character that is not in the alphabet is left out without a word in {name}; tinylm says so.":
            tokenizer.kind == "char" and not program.reads_as_tinylm,
        f"The text of a control token, such as {tokenizer.token(tokenizer.eos_id)}, becomes that token in {name} when "
        "somebody types it; in tinylm it stays text.":
            (imported or finds_control[program.reads_typed_control]) and not program.reads_as_tinylm,
        f"{n_ends} tokens end a text of this model; {name} knows {program.max_ends} of them.":
            program.max_ends is not None and n_ends > program.max_ends}
    return [note for note, holds in notes.items() if holds]


def _of_sampling(sample: SampleConfig, program: Program) -> list[str]:
    """
    >>> _of_sampling(SampleConfig(stop="THE END", top_p=0.9), TRANSFORMERS)
    ['These sampling settings are not carried: stop.']
    """
    default = SampleConfig()
    names = [name for name in program.left_out if getattr(sample, name) != getattr(default, name)]
    return [f"These sampling settings are not carried: {', '.join(names)}."] if names else []
