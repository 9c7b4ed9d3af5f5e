"""Imported tokenizers: the fourth kind, read from another program's tokenizer.json and used as it is.

The library `tokenizers` makes the ids; this module checks what the library is given, since the file is foreign, and
works out the bytes that each id stands for. The roles of ids (`SpecialTokens`) are kept in the post-processor of the
file, under the names `<bos>`, `<eos>`, ..., which the library ignores beyond its own template: tokenizer.json alone
loads, here and in `transformers`.

Typed control text stays text: the library works on a copy of the file in which no control token can be spelled.
"""

from __future__ import annotations

import json
import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import tokenizers

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted
from tinylm.text.encoders import Ids
from tinylm.text.foreign_tokenizer import ForeignTokenizer, read_foreign
from tinylm.text.special_tokens import BOS, EOS, PAD, UNKNOWN, SpecialTokens
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.vocabulary import LAST, checked_text

CONTROL, END = "<control>", "<end>"
"""Names in the file: ids without text, and the id that ends an encoded text."""
MAX_UNUSED = 1 << 16
"""Ids beyond the last entry, at most: models round the rows of their embedding up."""


class ImportedTokenizer(Tokenizer):
    """A tokenizer from another program. `Tokenizer.imported` makes one, and tells the arguments and errors."""

    def __init__(self, json_text: str, specials: SpecialTokens, vocab_size: int | None = None) -> None:
        foreign = read_foreign(json_text)
        if specials.bos is None:  # nothing to put before a text
            specials = specials._replace(add_bos=False)
        size = foreign.size if vocab_size is None else vocab_size
        _check_ids(foreign, specials, size)
        unused = frozenset(range(size)) - foreign.entries.keys()
        self.kind = "imported"
        self._own_control = specials.control
        self.specials = specials._replace(control=specials.control | unused)
        self.pad_id, self.bos_id, self.eos_id, self.unk_id = specials.pad, specials.bos, specials.eos, None
        self._hidden = self.specials.hidden
        self._json = json.dumps({**foreign.data, "post_processor": self._roles(foreign.entries, size)},
                                ensure_ascii=False, separators=(",", ":")) + "\n"
        self._bytes = [foreign.bytes_of(id) if id in foreign.entries else f"<unused {id}>".encode()
                       for id in range(size)]
        names = _unspeakable_names(foreign, self._hidden | ({specials.unk} - {None}))
        self._library = _library(_renamed(foreign, names))
        self._special_names = {id: names[foreign.entries[id]] for id in self._hidden & foreign.entries.keys()}
        self._library.add_special_tokens(list(self._special_names.values()))
        self._vocab = {entry: id for id, entry in foreign.entries.items()}
        self._encode = _Library(self._library)
        self.adds_blank = foreign.adds_blank

    def _roles(self, entries: Mapping[int, str], size: int) -> dict[str, Any]:
        """The post-processor that puts special tokens around a text as the model is used to, and lists all roles."""
        found = self.specials
        roles = {PAD: [found.pad], BOS: [found.start], EOS: [found.eos, *sorted(found.further_eos)],
                 CONTROL: sorted(self._own_control), LAST: [size - 1]}
        if found.bos is None:
            del roles[BOS]
        if found.unk is not None:
            roles[UNKNOWN] = [found.unk]
        first = [{"SpecialToken": {"id": BOS, "type_id": 0}}] if found.add_bos else []
        last = [{"SpecialToken": {"id": END, "type_id": 0}}] if found.add_eos else []
        if last:
            roles[END] = [found.eos]
        text: list[Any] = [{"Sequence": {"id": "A", "type_id": 0}}]
        return {"type": "TemplateProcessing", "single": [*first, *text, *last],
                "pair": [*first, *text, {"Sequence": {"id": "B", "type_id": 0}}, *last],
                "special_tokens": {name: {"id": name, "ids": ids, "tokens": [entries.get(id, "") for id in ids]}
                                   for name, ids in roles.items() if ids}}

    @classmethod
    def of_file(cls, data: Mapping[str, Any], text: str) -> ImportedTokenizer:
        """The tokenizer of a file that holds its roles. Raises: TinyLMError, KeyError, TypeError, ...: it does not."""
        template = data["post_processor"]
        ids = {name: [int(id) for id in each["ids"]] for name, each in template["special_tokens"].items()}
        used = [part["SpecialToken"]["id"] for part in template["single"] if "SpecialToken" in part]
        eos, *further = ids[EOS]
        specials = SpecialTokens(ids[PAD][0], ids[BOS][0] if BOS in ids else None, eos,
                                 ids[UNKNOWN][0] if UNKNOWN in ids else None, frozenset(ids.get(CONTROL, ())),
                                 frozenset(further), BOS in used, END in used)
        return cls(text, specials, ids[LAST][0] + 1)

    def encode(self, text: str) -> list[int]:
        """The ids of a text with the special tokens that the model is used to, as `transformers` makes them."""
        return [*self.specials.prefix, *self.encode_text(text), *([self.eos_id] if self.specials.add_eos else [])]

    def encode_parts(self, parts: Sequence[str | int]) -> tuple[list[int], list[int]]:
        """The ids of texts and special tokens in a row, as `transformers` makes them of one text with all of them."""
        texts = [checked_text(part) if isinstance(part, str) else self._special_names[part] for part in parts]
        starts = list(accumulate(map(len, texts), initial=0))
        found = self._library.encode("".join(texts), add_special_tokens=False)
        return found.ids, [max(0, bisect_left(starts, end) - 1) for _, end in found.offsets]


class _Library:
    """The encoder of an imported tokenizer: the whole text goes to the library."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library

    def __call__(self, text: str) -> Ids:
        return np.array(self._library.encode(text, add_special_tokens=False).ids, np.uint32)

    known_alone = __call__  # what it does not know becomes its own token for that


def _library(data: Mapping[str, Any]) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(data))
    except BaseException as error:  # a panic of the library is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise TinyLMError(f"is not a tokenizer that can be read ({quoted(error)})", where="tokenizer.json") from None


def _unspeakable_names(foreign: ForeignTokenizer, control: frozenset[int | None]) -> dict[str, str]:
    """Names that nobody can type for the entries of control tokens."""
    secret = secrets.token_hex(16)
    return {entry: f"{secret}-{id};" for id, entry in foreign.entries.items() if id in control}


def _renamed(foreign: ForeignTokenizer, names: Mapping[str, str]) -> dict[str, Any]:
    """The file with other names for some entries, so that no text becomes one of them."""
    model = dict(foreign.data["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [[names.get(entry, entry), score] for entry, score in model["vocab"]]
    else:
        model["vocab"] = {names.get(entry, entry): id for entry, id in model["vocab"].items()}
        if model.get("unk_token") in names:
            model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [pair for pair in foreign.merges if not {*pair, "".join(pair)} & names.keys()]
    added = [{**each, "content": names.get(each["content"], each["content"])} for each in foreign.data["added_tokens"]]
    return {**foreign.data, "model": model, "added_tokens": added, "post_processor": None}


def _check_ids(foreign: ForeignTokenizer, specials: SpecialTokens, size: int) -> None:
    """Raises TinyLMError if ids do not fit in the model's vocabulary."""
    if not foreign.size <= size <= foreign.size + MAX_UNUSED:
        raise TinyLMError(f"has ids up to {foreign.size - 1}, and the model has {size} rows for them",
                          where="tokenizer.json", remedy="The files do not belong together")
    used = {specials.pad, specials.start, specials.unk or 0, *specials.ends, *specials.control}
    if min(used) < 0 or max(used) >= size:
        raise TinyLMError("names a special token that is no entry of the vocabulary", where="tokenizer.json",
                          remedy="The files do not belong together")
