"""Models that answer in conversations, for tests of exports: with weights at random, and a vocabulary that has what the
format needs."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.interchange.shapes import make_model, make_tokenizer
from tinylm.chat.chat_format import FORMATS
from tinylm.interchange.gguf.pretokenizers import PRETOKENIZERS
from tinylm.interchange.source import ExportedModel
from tinylm.text.special_tokens import BOS, EOS, SpecialTokens
from tinylm.text.tokenizer import Tokenizer

BEGIN, END = "<s>", "</s>"
"""The texts of `<bos>` and `<eos>` in `chat_tokenizer`."""


def chat_tokenizer(name: str) -> Tokenizer:
    """A byte-level BPE as from elsewhere, with the special tokens of a format."""
    ours, known = json.loads(make_tokenizer("bpe").to_json()), PRETOKENIZERS["smollm"]
    marks = sorted({special.entry for special in FORMATS[name].specials} - {BOS, EOS})
    entries = [BEGIN, END, *marks, *list(ours["model"]["vocab"])[3:]]
    vocab = {entry: id for id, entry in enumerate(entries)}
    added = [{"id": vocab[entry], "content": entry, "special": True, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False} for entry in (BEGIN, END, *marks)]
    data = {**ours, "pre_tokenizer": known.json, "post_processor": None, "added_tokens": added,
            "model": {**ours["model"], "vocab": vocab, "ignore_merges": known.whole_words}}
    control = frozenset(vocab[mark] for mark in marks)
    end = FORMATS[name].end.entry
    further = frozenset({vocab[end]} if end in vocab else ())
    return Tokenizer.imported(json.dumps(data), SpecialTokens(
        vocab[END], vocab[BEGIN], vocab[END], None, control - further, further, add_bos=False, add_eos=False))


def chat_model(name: str, kind: str = "imported") -> ExportedModel:
    """A model of a format, whose tokenizer is of a kind."""
    tokenizer = chat_tokenizer(name) if kind == "imported" else make_tokenizer(kind)
    model = make_model("llama", tokenizer=tokenizer, context_length=256)
    data = model.config.data.model_copy(update={"chat_format": name})
    return replace(model, config=model.config.model_copy(update={"data": data}))
