"""Tokenizers: text <-> ids by words, characters or byte-level BPE, behind one class and one `tokenizer.json`.

The file is in the Hugging Face tokenizers format and stands alone: `tokenizers` and `transformers` make the same ids
from it. A trained vocabulary starts with <pad>, <bos>, <eos> (and <unk>, for words); one from elsewhere may have them
at other ids, and may lack <bos> (special_tokens.py). They are entries of the vocabulary but not "added tokens", which
would be searched for in the text: here, a typed `<eos>` is five characters of text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from tinylm.errors import TinyLMError, command, did_you_mean, nearest
from tinylm.system.untrusted import quoted, read_whole
from tinylm.text.encoders import Ids, make_encoder
from tinylm.text.near import Near, NearCharacters, NearLineEnds, NearWords, Reading
from tinylm.text.special_tokens import SPELLED_OUT, SpecialTokens, special_tokens
from tinylm.text.unknown_text import joined, listed, near_to, replacements
from tinylm.text.vocabulary import (
    DEFAULT_BPE_VOCAB,
    Kind,
    bpe_vocab,
    char_vocab,
    checked_text,
    entry_bytes,
    holds_roles,
    library_tokenizer,
    parse_file,
    word_parts,
    word_vocab,
)

MAX_FILE_BYTES = 1 << 28
"""Bytes of a tokenizer.json, at most: some millions of words."""

LONG_TEXT = 1 << 24
"""Bytes of a text from which on compiled code saves more time than it takes to be loaded, or compiled at first use."""

_STRAY_BYTE = re.compile("[\udc80-\udcff]")


class UnknownText(TinyLMError):
    """An error for words or characters that a tokenizer does not know. `remedy` is for a person who typed them,
    `of_training` for a text to train on."""

    def __init__(self, what: str, *, remedy: str, of_training: str) -> None:
        super().__init__(what, remedy=remedy)
        self.of_training = of_training


class Typed(NamedTuple):
    """A text that a person typed, as a tokenizer reads it.

    Attributes:
        text: the text in the tokenizer's own spelling where a person sees no difference (near.py).
        replaced: a sentence for each spelling that was replaced, without its full stop.
        unknown: a sentence for each word that is read as `<unk>`.
    """

    text: str
    replaced: list[str]
    unknown: list[str]


class Tokenizer:
    """Converts text to ids and back. Made by `Tokenizer.train`, `Tokenizer.load` or `Tokenizer.from_json`.

    Attributes:
        kind: "word", "char", "bpe", or "imported": another program's, used as it is (imported.py).
        specials: the special tokens of the vocabulary, by their ids.
        pad_id, bos_id, eos_id, unk_id: the ids in `specials`; None where the vocabulary has no such token.
        line_ends: "normalize": the training text was read with plain line ends, and so is a text that a person types.
            It matters for BPE; characters and words go by their vocabulary. Nothing else of a tokenizer changes.

    >>> tokenizer = Tokenizer.train("word", ["how are you ?"])
    >>> tokenizer.encode("how are you")
    [1, 4, 5, 6, 2]
    >>> tokenizer.decode([1, 4, 5, 6, 2])
    'how are you'
    """

    line_ends: Literal["normalize", "keep"] = "keep"
    adds_blank = False
    """True if a blank that the tokenizer adds stands before each text, which decoding takes away after `<bos>`."""

    def __init__(self, kind: Kind, vocab: dict[str, int], merges: Sequence[tuple[str, str]] = (),
                 control: Sequence[str] = ()) -> None:
        self.kind: Kind = kind
        self.specials = special_tokens(vocab, control, has_unknown=kind == "word")
        self.pad_id, self.bos_id, self.eos_id, self.unk_id = self.specials[:4]
        self._hidden = self.specials.hidden
        library = library_tokenizer(kind, vocab, merges, control)
        self._json = library.to_str(pretty=True) + "\n"
        self._bytes = [entry_bytes(kind, entry, is_special=id in self._hidden) for entry, id in vocab.items()]
        self._library = library
        self._vocab = vocab
        self._encode = make_encoder(kind, library, vocab, self.specials, self._unknown)

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], *, vocab_size: int | None = None,
              unknown_token: bool = True) -> Tokenizer:
        """Trains a tokenizer on texts; the result is the same for the same texts on every machine.

        Args:
            kind: "word" (split at white space), "char", or "bpe" (byte-level, GPT-2's pattern).
            texts: the text, or pieces of it cut at white space, read once.
            vocab_size: the largest number of entries, special tokens included. Default: no limit for word and char,
                4096 for bpe.
            unknown_token: word only: True (the default): <unk> stands for unknown words; False: they are an error.

        Raises:
            TinyLMError: an unknown kind, or a vocab_size that is too small.

        >>> Tokenizer.train("char", ["hello"]).vocab_size  # <pad>, <bos>, <eos>, e, h, l, o
        7
        """
        if kind == "word":
            return cls("word", word_vocab(texts, vocab_size, unknown_token))
        if kind == "char":
            return cls("char", char_vocab(texts, vocab_size))
        if kind == "bpe":
            return cls("bpe", *bpe_vocab(texts, vocab_size or DEFAULT_BPE_VOCAB))
        raise TinyLMError(f"there is no tokenizer {kind!r}", where="data.tokenizer",
                          remedy=did_you_mean(kind, ("word", "char", "bpe")))

    @staticmethod
    def imported(json_text: str, specials: SpecialTokens, vocab_size: int | None = None) -> Tokenizer:
        """Makes a tokenizer of another program's tokenizer.json, used as it is: kind "imported".

        Args:
            json_text: a file of the library `tokenizers`; its own post-processor, truncation and padding are left out.
            specials: the roles of ids. `control` holds all further ids that stand for no text; typed text never becomes
                one. `unk`: the id for what is unknown, None where every text is known. `add_bos`, `add_eos`: what
                `encode` puts around a text.
            vocab_size: the rows of the model's embedding, which may be more than the entries; default: the entries.

        Raises:
            TinyLMError: a damaged file, or a component that tinylm does not know, which the error names.

        >>> import tokenizers
        >>> library = tokenizers.Tokenizer(tokenizers.models.BPE({"</s>": 0, "a": 1, "b": 2, "ab": 3}, [("a", "b")]))
        >>> library.decoder = tokenizers.decoders.Fuse()
        >>> roles = SpecialTokens(pad=0, bos=None, eos=0, add_bos=False, add_eos=False)
        >>> Tokenizer.imported(library.to_str(), roles).encode("aba")
        [3, 1]
        """
        from tinylm.text.imported import ImportedTokenizer

        return ImportedTokenizer(json_text, specials, vocab_size)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Reads a tokenizer.json. Raises: TinyLMError: the file is missing, broken, or not a tokenizer of tinylm's."""
        try:
            text = read_whole(Path(path), MAX_FILE_BYTES).decode("utf-8")
        except UnicodeDecodeError:
            raise TinyLMError("is not a tokenizer file: it is not UTF-8", where=str(path)) from None
        return cls.from_json(text, where=str(path))

    @classmethod
    def from_json(cls, text: str, *, where: str = "tokenizer.json") -> Tokenizer:
        """Makes the tokenizer of a text that `to_json` wrote.

        Args:
            where: the name of the text in errors.

        Raises:
            TinyLMError: it is any other text.
        """
        try:
            data = json.loads(text)
            if holds_roles(data):
                from tinylm.text.imported import ImportedTokenizer

                return ImportedTokenizer.of_file(data, text)
            return cls(*parse_file(data))
        except Exception as error:  # the library raises plain Exceptions
            raise TinyLMError(f"is not a tokenizer that tinylm wrote ({quoted(error)})", where=where,
                              remedy="Give the tokenizer.json of a model made by tinylm") from None

    def to_json(self) -> str:
        """The text of `tokenizer.json`."""
        return self._json

    def save(self, path: str | Path) -> None:
        """Writes the file `tokenizer.json`. Raises: OSError."""
        Path(path).write_bytes(self._json.encode())

    @property
    def fingerprint(self) -> str:
        """sha256 of `to_json()`, in hexadecimal."""
        return hashlib.sha256(self._json.encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        """The number of entries, special tokens included."""
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """The ids of `<bos>` text `<eos>`, as in the notebook, and as `transformers` makes them from the same file. A
        vocabulary without `<bos>` gives text `<eos>`.

        Raises:
            TinyLMError: words or characters that the vocabulary does not hold, or half a surrogate pair.

        >>> Tokenizer.train("char", ["abc"]).encode("cab")
        [1, 5, 3, 4, 2]
        """
        return [*([] if self.bos_id is None else [self.bos_id]), *self.encode_text(text), self.eos_id]

    def encode_prompt(self, text: str) -> list[int]:
        """The ids of a prompt, for a model to go on from: `<bos>` text, or `<eos>` text without `<bos>` in the
        vocabulary (`SpecialTokens.start`); an imported model may be used to the text alone.

        Raises:
            TinyLMError: as `encode`.
        """
        return self.with_prefix(self.encode_text(text))

    def with_prefix(self, ids: Iterable[int]) -> list[int]:
        """The ids of a prompt, given those of its text: with `<bos>` before them, where the model is used to it."""
        return [*self.specials.prefix, *ids] or [self.specials.start]

    def encode_text(self, text: str) -> list[int]:
        """The ids of the text alone."""
        return self.encode_arrays([text])[0].tolist()

    def encode_parts(self, parts: Sequence[str | int]) -> tuple[list[int], list[int]]:
        """The ids of texts and special tokens in a row.

        Args:
            parts: texts, of which no part becomes a special token; and special tokens, by their ids.

        Returns:
            The ids, and for each the number of its part. An imported tokenizer may join what meets where two texts
            follow each other: such an id is of the second part.

        Raises:
            TinyLMError: as `encode`.

        >>> Tokenizer.train("char", ["abc"]).encode_parts(["cab", 2, "a"])
        ([5, 3, 4, 2, 3], [0, 0, 0, 1, 2])
        """
        each = [[part] if isinstance(part, int) else self.encode_text(part) for part in parts]
        return ([id for ids in each for id in ids], [number for number, ids in enumerate(each) for _ in ids])

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text alone."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Iterable[str]) -> list[Ids]:
        """The ids of each text alone as arrays of uint32, which is quicker for long texts."""
        return [self._encode(checked_text(text)) for text in texts]

    def typed(self, text: str) -> Typed:
        """Reads a text that a person typed: near forms replace what the tokenizer does not know, such as `é` as one
        character or two, curly or straight quotes, spaces, line ends. `encode` and the like take a text as it is.

        Raises:
            TinyLMError: words or characters without a near form, each with its position and what is near to it.

        >>> Tokenizer.train("char", ["it's"]).typed("it’s").text
        "it's"
        """
        keeps = self.knows_all and self.line_ends == "keep"
        reading = Reading(checked_text(text), {}, {}) if keeps else self.near.read(checked_text(text))
        if reading.unknown and self.unk_id is None:
            raise self._unknown(reading.unknown)
        unknown = [f"{each} is unknown to this model, and read as <unk>"
                   for each in listed(reading.unknown, "word", lambda word: near_to(self.near.near(word)))]
        return Typed(reading.text, replacements(reading.replaced), unknown)

    @property
    def knows_all(self) -> bool:
        """True if every text has ids: BPE knows all bytes, and an imported tokenizer goes by its own rules."""
        return self.kind in ("bpe", "imported")

    def knows(self, units: Iterable[str]) -> bool:
        """True if all of these characters, or words, have ids of their own."""
        if self.kind == "word":
            return all(part in self._vocab for unit in units for part in word_parts(unit))
        return self.knows_all or self._vocab.keys() >= set(units)

    def entry_id(self, entry: str) -> int | None:
        """The id of an entry of the vocabulary, as tokenizer.json spells it; None: there is none."""
        return self._vocab.get(entry)

    def encode_known(self, text: str) -> Ids:
        """The ids of the known parts of a text. An unknown character has no id, an unknown word `<unk>` or none."""
        return self._encode.known_alone(checked_text(text))

    def encode_typed(self, text: str) -> list[int]:
        """The ids of a text that a person typed, alone. Raises: TinyLMError: as `typed`."""
        return self.encode_text(self.typed(text).text)

    @cached_property
    def near(self) -> Near:
        """The reader of near forms for what the tokenizer does not know."""
        entries = [entry for entry, id in self._vocab.items() if id not in self._hidden]
        if self.knows_all:
            return NearLineEnds()
        return NearWords(self._vocab) if self.kind == "word" else NearCharacters(entries)

    def _unknown(self, positions: Mapping[str, int]) -> UnknownText:
        """The error for words or characters that the tokenizer does not know, given the first position of each."""
        other = "or train a model that knows every text: " + command("train", "SOURCE", "--tokenizer", "bpe")
        if self.kind == "char":
            told = listed(positions, "character", lambda character: near_to(self.near.near(character)))
            return UnknownText(f"not in the alphabet: {joined(told, positions)}", remedy=f"Leave it out, {other}",
                               of_training="Use a tokenizer that knows every character: --tokenizer bpe")
        told = listed(positions, "word", lambda word: near_to(self.near.near(word) or self._spelled_like(word)))
        return UnknownText(
            f"not in the vocabulary: {joined(told, positions)}",
            remedy=f"Leave it out, {other}; with --set data.unknown_token=true, unknown words are read as <unk>",
            of_training="Use a sub-word tokenizer, --tokenizer bpe, or an <unk> token for unknown words, "
                        "--set data.unknown_token=true")

    def _spelled_like(self, word: str) -> list[str]:
        close = nearest(word, [known for known in self._vocab if abs(len(known) - len(word)) < 3])
        return [known for known in close if known not in SPELLED_OUT]

    def encoder(self, n_bytes: int) -> Callable[[str], Ids]:
        """The quickest encoder for the pieces of a text of `n_bytes` bytes in all; for one thread at a time."""
        if self.kind != "bpe" or n_bytes < LONG_TEXT:
            return self._encode
        from tinylm.text.long_text import LongTextEncoder  # imports the compiler, which takes a while

        return LongTextEncoder(self._library)

    def decode(self, ids: Iterable[int], *, specials: bool = False) -> str:
        """The text of ids. Words are joined by single spaces; characters and BPE give back exactly what was encoded. If
        the ids end in the middle of a character of several bytes, the text ends with U+FFFD.

        Args:
            ids: any ids of the vocabulary.
            specials: True: <pad>, <bos>, <eos> and control tokens are shown; default: they are left out.

        Raises:
            TinyLMError: an id outside the vocabulary.
        """
        known = [self._known(id) for id in ids]
        shown = [self._bytes[id] for id in known if specials or id not in self._hidden]
        if shown and not specials and self.adds_blank and known[0] == self.bos_id:
            shown[0] = shown[0].removeprefix(b" ")
        return (b" " if self.kind == "word" else b"").join(shown).decode("utf-8", "replace")

    def token(self, id: int) -> str:
        """The text of one token, for people to read. Bytes that are not a whole character look like <0xE2>.

        Raises:
            TinyLMError: an id outside the vocabulary.
        """
        readable = self._bytes[self._known(id)].decode("utf-8", "surrogateescape")
        return _STRAY_BYTE.sub(lambda stray: f"<0x{ord(stray[0]) - 0xDC00:02X}>", readable)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """The text of each token (`token`)."""
        return [self.token(id) for id in ids]

    def token_bytes(self, id: int) -> bytes:
        """The UTF-8 bytes that a token stands for, for streaming and for bits per byte. A token without text (<pad>,
        <bos>, <eos>, control tokens) has none.

        Raises:
            TinyLMError: an id outside the vocabulary.
        """
        return b"" if self._known(id) in self._hidden else self._bytes[id]

    def _known(self, id: int) -> int:
        if not 0 <= id < len(self._bytes):
            raise TinyLMError(f"there is no id {id}: they go from 0 to {len(self._bytes) - 1}")
        return int(id)
