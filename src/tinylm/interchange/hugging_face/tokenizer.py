"""Tokenizers for transformers: `tokenizer.json` and `tokenizer_config.json`.

A trained tokenizer's file goes out with two changes. Its post-processor puts `<bos>` alone before a text: with `<eos>`
behind it, as in the model folder, each prompt would end before it began. And the special tokens are listed as "added
tokens", by which programs know what to leave out of a text. `split_special_tokens` keeps a typed `<eos>` what it is in
tinylm: five characters of text; not so in a model with a chat template, which is rendered as one text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library
from tokenizers import processors

from tinylm.interchange.hugging_face.json_file import write_json
from tinylm.text.tokenizer import Tokenizer

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"


def write_tokenizer(tokenizer: Tokenizer, context_length: int, folder: Path, chat_template: str = "") -> None:
    """Writes `tokenizer.json` and `tokenizer_config.json`.

    Args:
        tokenizer: one that was imported goes out as it came.
        context_length: of the model, in tokens.
        chat_template: of a model that answers in conversations; empty: none.

    Raises:
        OSError: a file cannot be written.

    >>> write_tokenizer(Tokenizer.train("char", ["abc"]), 64, Path("."))
    >>> Library.from_file(TOKENIZER).encode("cab").ids
    [1, 5, 3, 4]
    """
    (folder / TOKENIZER).write_bytes(tokenizer_json(tokenizer).encode())
    write_json(folder / TOKENIZER_CONFIG, tokenizer_config_json(tokenizer, context_length, chat_template))


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """The text of `tokenizer.json`, for prompts.

    >>> tokenizer = Tokenizer.train("char", ["abc"])
    >>> Library.from_str(tokenizer_json(tokenizer)).encode("cab").ids
    [1, 5, 3, 4]
    """
    if _is_imported(tokenizer):
        return tokenizer.to_json()
    library, specials = Library.from_str(tokenizer.to_json()), tokenizer.specials
    start = tokenizer.token(specials.start)
    library.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A $B:1", special_tokens=[(start, specials.start)])
    library.add_special_tokens([tokenizer.token(id) for id in sorted(specials.hidden)])
    return library.to_str(pretty=True) + "\n"


def tokenizer_config_json(tokenizer: Tokenizer, context_length: int, chat_template: str = "") -> dict[str, Any]:
    """The values of `tokenizer_config.json`. `<unk>` is not declared: transformers would leave it out of what it
    shows, and it stands for a word.

    A chat template writes the texts of special tokens, and transformers must find them there: with a template,
    `split_special_tokens` is false.

    >>> tokenizer_config_json(Tokenizer.train("char", ["abc"]), 64)["model_max_length"]
    64
    """
    specials = tokenizer.specials
    begin = specials.start if chat_template else specials.bos  # a template may begin with it
    roles = {"bos_token": begin, "eos_token": specials.eos, "pad_token": specials.pad}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{role: tokenizer.token(id) for role, id in roles.items() if id is not None},
        "model_max_length": context_length,
        "model_input_names": ["input_ids", "attention_mask"],  # 4.57 adds token_type_ids, which its models refuse
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
        "split_special_tokens": not (_is_imported(tokenizer) or chat_template),
        **({"chat_template": chat_template} if chat_template else {}),
    }


def _is_imported(tokenizer: Tokenizer) -> bool:
    return str(tokenizer.kind) == "imported"
