"""LanguageModel: a model with its tokenizer, as one holds it in a notebook or a program."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tinylm import model_folder
from tinylm.config.aliases import either_name
from tinylm.config.schema import RunConfig, WeightDtype
from tinylm.config.spelling import match_name
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.generation.generator import TextGenerator
from tinylm.inspection import structure
from tinylm.system.paths import given_path
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # torch takes a second to import, reading texts some hundredths, and writing text does not need them
    from torch import Tensor

    from tinylm.evaluation.evaluator import Evaluator
    from tinylm.evaluation.memorization import CopyIndex, Overlap
    from tinylm.evaluation.report import Report
    from tinylm.model.tensors import Weights
    from tinylm.model.transformer import TinyLM
    from tinylm.text.reading.sources import Given

WEIGHT_DTYPES: tuple[WeightDtype, ...] = get_args(WeightDtype)


class LanguageModel(TextGenerator):
    """A trained model. From `tinylm.train(...)` or `tinylm.load(folder)`.

    Attributes:
        model: the torch module; `model(ids)` gives logits (B, T, V). It is made when it is first asked for: predicting
            and writing need no torch where the compiled engine serves.
        tokenizer: text <-> ids.
        config: all choices that made it.
        folder: where it lies on the disk, if it does.
        judge: what judges it, made when it is first asked for: reading texts takes more imports than writing them.
        weight_dtype: how the weights are kept that it predicts and writes with; `model` has 32 bits always, and so
            have `evaluate` and `trace`, which ask that.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None = None, folder: Path | None = None,
                 *, weights: Weights | None = None, device: str = "cpu", weight_dtype: WeightDtype = "fp32") -> None:
        """Either the module or its weights are given."""
        super().__init__(config, tokenizer, model, weights, device, weight_dtype)
        self.folder = folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", weight_dtype: WeightDtype | None = None,
             storage: WeightDtype | None = None) -> LanguageModel:
        """Reads a model folder; runs no code from it.

        Args:
            device: "cpu" (the quickest for small models), "cuda", "mps", or "auto".
            weight_dtype: how the weights are kept that it predicts and writes with: "fp32" (the default); "bf16", half
                as many bytes; or "int8", a quarter. Fewer bytes are quicker where they are many, and probabilities a
                little off.
            storage: the old name of `weight_dtype`.

        Raises:
            TinyLMError: no such folder, or a damaged one; no such weight dtype, one for the compiled engine where that
                does not serve (`served_by`), or one by both names.
        """
        weight_dtype = either_name("weight_dtype", weight_dtype, storage) or "fp32"
        known = match_name(str(weight_dtype), WEIGHT_DTYPES)
        if known is None:
            raise TinyLMError(f"there is no weight dtype {weight_dtype!r}", where="weight_dtype",
                              remedy=did_you_mean(str(weight_dtype), WEIGHT_DTYPES))
        folder = given_path(folder)
        config, tokenizer = model_folder.read_config(folder), model_folder.read_tokenizer(folder)
        if tokenizer.vocab_size != config.model.vocab_size:
            raise TinyLMError(f"the tokenizer has {tokenizer.vocab_size} entries and the model "
                              f"{config.model.vocab_size}", where=str(folder),
                              remedy="The files of this folder do not belong together")
        weights = model_folder.read_weights(folder, config.model)
        if device != "cpu":
            from tinylm.model.device import choose_device

            device = choose_device(device).type
        lm = cls(config, tokenizer, folder=folder, weights=weights, device=device, weight_dtype=known)
        lm.check_weight_dtype()
        return lm

    # ---- judging and looking inside

    @cached_property
    def evaluator(self) -> Evaluator:
        from tinylm.evaluation.evaluator import Evaluator

        return Evaluator(self)

    def evaluate(self, source: Given | None = None, *, texts: str | Iterable[str] | None = None,
                 **read_as: Any) -> Report:
        """Loss, perplexity and bits a byte beside the baselines; and what of three texts that the model writes from
        nothing is copied from the training text.

        Args:
            source: a text; None is the validation text of the training run (or the training text, where nothing was
                held out). What the tokenizer does not know of another text is counted and charged
                (`Report.left_out`), and the model reads on as if it were not there.
            texts: strings instead of a source. Those that the model was trained on count as its training text.
            read_as: documents, text_field, skip_bad or encoding, where the source is not to be read as the training
                text was.

        Raises:
            TinyLMError: the training text has moved or changed, or the other text cannot be read.
        """
        from tinylm.text.reading.sources import chosen_source

        return self.evaluator.evaluate(chosen_source(source, texts, "lm.evaluate"), read_as)

    def copied(self, text: str) -> Overlap:
        """What of a text stands word for word in the training text, and where. The first call reads that, at a second
        or so for each 50 megabytes.

        Raises:
            TinyLMError: the training text has moved or changed.
        """
        return self.evaluator.copied(text)

    def copying(self, index: CopyIndex | None = None) -> Overlap | None:
        """What of a few texts that it writes stands in the training text; None where that is not there.

        Args:
            index: of the training text, where there is one already.
        """
        return self.evaluator.copying(index)

    def inspect(self) -> dict[str, Any]:
        """Every parameter tensor with its formula, memory and FLOPs; the shape is that of `tinylm inspect --json`."""
        return structure.describe(self.config.model)

    def trace(self, text: str) -> dict[str, Tensor]:
        """Every activation by its name (docs/NAMES.md) for `<bos>` and the text: T = 1 + its tokens, B = 1."""
        from tinylm.inspection import trace

        return trace.trace(self.model, self.encode_prompt(text))

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Writes a model folder, whole or not at all.

        Args:
            force: replace a model that is there.

        Raises:
            TinyLMError: the place is taken or cannot be written.
        """
        with model_folder.new_folder(folder, force=force) as temporary:
            self.write_into(temporary)
            if self.folder:
                model_folder.copy_records(self.folder, temporary)
        self.folder = given_path(folder)
        return self.folder

    def write_into(self, folder: Path) -> None:
        """The files that make a folder loadable."""
        model_folder.write_config(folder, self.config)
        self.tokenizer.save(folder / model_folder.TOKENIZER)
        model_folder.write_weights(folder, self.model)

    def __repr__(self) -> str:
        size = structure.total_parameters(self.config.model)
        return f"<LanguageModel: {size:,} parameters, {self.tokenizer.vocab_size:,} tokens ({self.tokenizer.kind})>"


def load(folder: str | Path, *, device: str = "cpu", weight_dtype: WeightDtype | None = None,
         storage: WeightDtype | None = None) -> LanguageModel:
    """Reads a model folder. See `LanguageModel.load`."""
    return LanguageModel.load(folder, device=device, weight_dtype=weight_dtype, storage=storage)
