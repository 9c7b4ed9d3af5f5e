"""LanguageModel: a model with its tokenizer, as one holds it in a notebook or a program."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tinylm import bundle
from tinylm.config import RunConfig, Storage
from tinylm.errors import TinyLMError, command, did_you_mean
from tinylm.inspection import structure
from tinylm.inspection.copying import Copied, CopyIndex, together
from tinylm.spelling import named
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import Part, build_dataset
from tinylm.text.split import Split, split_corpus
from tinylm.text.tokenizer import Tokenizer
from tinylm.training_text import open_training_text
from tinylm.writing import Writing

if TYPE_CHECKING:  # torch takes a second to import, and writing text does not need it
    from torch import Tensor

    from tinylm.model.transformer import TinyLM
    from tinylm.report import Baselines, Report
    from tinylm.tensors import Weights

STORAGES: tuple[Storage, ...] = get_args(Storage)
SAMPLES, SAMPLE_TOKENS = 3, 200
"""What `evaluate` lets the model write, to see what it copies."""


class LanguageModel(Writing):
    """A trained model. From `tinylm.train(...)` or `tinylm.load(folder)`.

    Attributes:
        model: the torch module; `model(ids)` gives logits (B, T, V). It is made when it is first asked for: predicting
            and writing need no torch where the compiled engine serves.
        tokenizer: text <-> ids.
        config: all choices that made it.
        folder: where it lies on the disk, if it does.
        storage: how the weights are kept that it predicts and writes with; `model` has 32 bits always, and so have
            `evaluate` and `trace`, which ask that.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None = None, folder: Path | None = None,
                 *, weights: Weights | None = None, device: str = "cpu", storage: Storage = "fp32") -> None:
        """Either the module or its weights are given."""
        super().__init__(config, tokenizer, model, weights, device, storage)
        self.folder = folder
        self._copy_index: CopyIndex | None = None

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", storage: Storage = "fp32") -> LanguageModel:
        """Reads a model folder; runs no code from it.

        Args:
            device: "cpu" (the quickest for small models), "cuda", "mps", or "auto".
            storage: how the weights are kept that it predicts and writes with: "fp32"; "bf16", half as many bytes; or
                "int8", a quarter. Fewer bytes are quicker where they are many, and probabilities a little off.

        Raises:
            TinyLMError: no such folder, or a damaged one; no such storage, or one for the compiled engine where that
                does not serve (`served_by`).
        """
        known = named(str(storage), STORAGES)
        if known is None:
            raise TinyLMError(f"there is no storage {storage!r}", where="storage",
                              remedy=did_you_mean(str(storage), STORAGES))
        config, tokenizer = bundle.read_config(folder), bundle.read_tokenizer(folder)
        if tokenizer.vocab_size != config.model.vocab_size:
            raise TinyLMError(f"the tokenizer has {tokenizer.vocab_size} entries and the model "
                              f"{config.model.vocab_size}", where=str(folder),
                              remedy="The files of this folder do not belong together")
        weights = bundle.read_weights(folder, config.model)
        if device != "cpu":
            from tinylm.training.device import choose_device

            device = choose_device(device).type
        lm = cls(config, tokenizer, folder=Path(folder), weights=weights, device=device, storage=known)
        lm.check_storage()
        return lm

    # ---- judging and looking inside

    def evaluate(self, source: str | Path | None = None) -> Report:
        """Loss, perplexity and bits a byte beside the baselines; and what of three texts that the model writes from
        nothing is copied from the training text.

        Args:
            source: a text; None is the validation text of the training run (or the training text, where nothing was
                held out).

        Raises:
            TinyLMError: the training text has moved or changed, or the other text cannot be read.
        """
        from tinylm.report import Text, measure_baselines, texts

        data = self.config.data
        if source is None:
            split = self._training_split()
            dataset = build_dataset(split, self.tokenizer)
            train, judged = texts(split, dataset)
            name = "validation" if dataset.validation else "train"
            report = self._judge(judged.ids, name, measure_baselines(train, judged, self.tokenizer.vocab_size))
        else:
            corpus = open_corpus(source, documents=data.documents, text_field=data.text_field)
            split = split_corpus(corpus, 0.0)
            judged = Text(build_dataset(split, self.tokenizer).train, split.train)
            report = self._judge(judged.ids, corpus.name, self._baselines_of_training(judged))
        return replace(report, copying=self.copying())

    def _judge(self, part: Part, split: str, counted: Baselines) -> Report:
        from tinylm.report import judge

        report = judge(self.model, part, layout=self.config.data.rows, split=split, counted=counted)
        if not math.isfinite(report.loss):
            raise TinyLMError("its loss is not a finite number", where=str(self.folder or "model"),
                              remedy="The model is damaged: restore its folder from a copy, or train again")
        return report

    def _baselines_of_training(self, other: Any) -> Baselines:
        """Counted on the training text if that is still there, else on nothing."""
        from tinylm.report import Baselines, Text, measure_baselines

        try:
            split = self._training_split()
            train = Text(build_dataset(split, self.tokenizer).train, split.train)
        except TinyLMError:
            counted = measure_baselines(other, other, self.tokenizer.vocab_size)
            return Baselines({"uniform": counted.bits_per_byte["uniform"]})
        return measure_baselines(train, other, self.tokenizer.vocab_size)

    def copied(self, text: str) -> Copied:
        """What of a text stands word for word in the training text, and where. The first call reads that, at a second
        or so for each 50 megabytes.

        Raises:
            TinyLMError: the training text has moved or changed.
        """
        if self._copy_index is None:
            self._copy_index = CopyIndex(self._training_split().train)
        return self._copy_index.measure(text)

    def copying(self, index: CopyIndex | None = None) -> Copied | None:
        """What of a few texts that it writes stands in the training text; None where that is not there.

        Args:
            index: of the training text, where there is one already.
        """
        self._copy_index = index or self._copy_index
        written = self.generate(samples=SAMPLES, max_tokens=SAMPLE_TOKENS, seed=0)
        try:
            return together([self.copied(text) for text in written])
        except TinyLMError:
            return None

    def _training_split(self) -> Split:
        folder = self.folder or Path("RUN")
        judge = command("evaluate", folder, "SOURCE")

        def elsewhere(*words: str) -> str:
            if not bundle.has_checkpoints(folder):
                return f"Judge the model on another text: {judge}"
            again = command("train", *words, "--resume", "--out", folder)
            return f"Judge the model on another text ({judge}), or say where this one is now: {again}"

        if not self.config.data.source or self.config.data.source == "-":
            raise TinyLMError("the text that it was trained on is not known", where=str(self.folder or "model"),
                              remedy=elsewhere("SOURCE"))
        return open_training_text(self.config.data, elsewhere)[1]

    def inspect(self) -> dict[str, Any]:
        """Every parameter tensor with its formula, memory and FLOPs; the shape is that of `tinylm inspect --json`."""
        return structure.describe(self.config.model)

    def trace(self, text: str) -> dict[str, Tensor]:
        """Every activation by its name (docs/NAMES.md) for `<bos>` and the text: T = 1 + its tokens, B = 1."""
        from tinylm.inspection import trace

        return trace.trace(self.model, self.tokenizer.encode_prompt(text))

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Writes a model folder, whole or not at all.

        Args:
            force: replace a model that is there.

        Raises:
            TinyLMError: the place is taken or cannot be written.
        """
        with bundle.new_folder(folder, force=force) as temporary:
            self.write_into(temporary)
            if self.folder:
                bundle.copy_records(self.folder, temporary)
        self.folder = Path(folder)
        return self.folder

    def write_into(self, folder: Path) -> None:
        """The files that make a folder loadable."""
        bundle.write_config(folder, self.config)
        self.tokenizer.save(folder / bundle.TOKENIZER)
        bundle.write_weights(folder, self.model)

    def __repr__(self) -> str:
        size = structure.total_parameters(self.config.model)
        return f"<LanguageModel: {size:,} parameters, {self.tokenizer.vocab_size:,} tokens ({self.tokenizer.kind})>"


def load(folder: str | Path, *, device: str = "cpu", storage: Storage = "fp32") -> LanguageModel:
    """Reads a model folder. See `LanguageModel.load`."""
    return LanguageModel.load(folder, device=device, storage=storage)
