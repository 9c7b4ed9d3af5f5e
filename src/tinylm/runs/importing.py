"""Import: another program's model becomes a model folder, and a model to hold."""

from __future__ import annotations

from pathlib import Path

from tinylm.interchange.importing import import_model as import_into
from tinylm.lm import LanguageModel, load


def import_model(source: str | Path, folder: str | Path, *, force: bool = False) -> LanguageModel:
    """Makes a model folder of another program's model, and reads it. No code of it is run.

    Args:
        source: a Hugging Face folder with safetensors, or a GGUF file.
        folder: the path of the new model folder. What is not as it was stands in its model card.
        force: replaces a model that is there.

    Raises:
        TinyLMError: there is no such model, it is damaged, or tinylm cannot hold it exactly, by the name of what is in
            the way; the folder exists, or cannot be written.

    >>> tinylm.import_model("book-gguf/model.gguf", "models/book")
    <LanguageModel: 111,872 parameters, 39 tokens (char)>
    """
    import_into(source, folder, force=force)
    return load(folder)
