"""Import: a model of another program becomes a model folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tinylm import model_folder
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.errors import TinyLMError, command
from tinylm.interchange.chat import find_chat_format
from tinylm.model.tensors import Weights
from tinylm.system.paths import given_path
from tinylm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Imported:
    """A model that another program made, as tinylm holds it.

    Attributes:
        config: its shape.
        weights: float32, by the names of `TinyLM.named_parameters()`.
        tokenizer: its own, as it is.
        source: the kind of file that it is from, for people.
        sample: settings of sampling that it suggests.
        notes: sentences for people, on what is not as it was.
        chat_template: the template that it came with, as text; empty: none.
        chat_format: the name of the chat format that the template writes; empty: none, or one that is not known.
    """

    config: ModelConfig
    weights: Weights
    tokenizer: Tokenizer
    source: str
    sample: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    chat_template: str = ""
    chat_format: str = ""


def read_model(source: str | Path) -> Imported:
    """Reads a foreign model: a Hugging Face folder, or a GGUF file. No code of it is run.

    Raises:
        TinyLMError: there is none, it is damaged, or tinylm cannot hold it exactly; what is in the way is named.

    >>> read_model("book-hf").config.d_model
    64
    """
    path = given_path(source)
    if path.is_dir():
        from tinylm.interchange.hugging_face.importing import import_folder

        return _with_chat_format(import_folder(path))
    if not path.exists():
        raise TinyLMError("there is no such file or folder", where=str(path),
                          remedy="Give a folder with config.json, tokenizer.json and model.safetensors, or a GGUF file")
    return _with_chat_format(_of_gguf(path))


def import_model(source: str | Path, out: str | Path, *, force: bool = False,
                 log: Callable[[str], None] = lambda _: None) -> Imported:
    """Writes a foreign model as a model folder.

    Args:
        source: a Hugging Face folder, or a GGUF file.
        out: the new model folder.
        force: replaces a model that is there.
        log: gets the name of each step.

    Raises:
        TinyLMError: as `read_model`; or the folder cannot be written.

    >>> import_model("book-gguf/model.gguf", "models/book").source
    'a GGUF file of type qwen3'
    """
    model_folder.check_free(given_path(out), force=force, option="OUT")
    log("reading")
    model = read_model(source)
    log("writing")
    config = RunConfig(
        model=model.config, sample=SampleConfig(**model.sample),
        data=DataConfig(tokenizer=model.tokenizer.kind, line_ends="keep", validation=0.0, documents="text",
                        chat_format=model.chat_format),
        train=TrainConfig(steps=1))  # a horizon is required; nothing was trained here
    with model_folder.new_folder(out, force=force, option="OUT") as folder:
        model_folder.write_config(folder, config)
        model.tokenizer.save(folder / model_folder.TOKENIZER)
        model_folder.write_weights(folder, model.weights)
        if model.chat_template:
            (folder / model_folder.CHAT_TEMPLATE).write_text(model.chat_template, encoding="utf-8", newline="\n")
        (folder / model_folder.CARD).write_text(_card(given_path(source).name, model, out), encoding="utf-8",
                                                newline="\n")
    return model


def _with_chat_format(model: Imported) -> Imported:
    """The model with the format of its template, and with the token that ends an answer among those that end a text."""
    found = find_chat_format(model.chat_template, model.tokenizer)
    return replace(model, chat_format=found.name, tokenizer=found.tokenizer, notes=[*model.notes, *found.notes])


def _of_gguf(path: Path) -> Imported:
    from tinylm.interchange.gguf.importing import import_gguf

    found = import_gguf(path)
    tokenizer = found.tokenizer
    if not isinstance(tokenizer, Tokenizer):
        specials = tokenizer.specials._replace(add_bos=tokenizer.add_bos, add_eos=False)
        tokenizer = Tokenizer.imported(tokenizer.json, specials, found.config.vocab_size)
    return Imported(found.config, found.weights, tokenizer, f"a GGUF file of type {found.architecture}",
                    notes=found.notes, chat_template=found.chat_template)


def _card(name: str, model: Imported, out: str | Path) -> str:
    from tinylm.inspection.structure import total_parameters
    from tinylm.system.untrusted import escape_control_codes

    config = model.config
    notes = "".join(f"- {escape_control_codes(note)}\n" for note in model.notes)
    return (f"# {escape_control_codes(Path(out).name)}\n\n"
            f"A language model that another program made, imported by tinylm from {model.source}, "
            f"`{escape_control_codes(name)}`.\nIts licence and what it was trained on are those of its source.\n\n"
            f"{total_parameters(config):,} parameters: {config.n_layers} layers, d_model {config.d_model}, "
            f"{config.n_heads} heads, context of {config.context_length} tokens, "
            f"{config.vocab_size:,} entries of its own tokenizer.\n\n{notes}\n"
            f"    {command('generate', out, text='Once upon a time')}\n")
