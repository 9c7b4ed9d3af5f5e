"""LanguageModel: a model with its tokenizer, as one holds it in a notebook or a program."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tinylm import bundle
from tinylm.config import RunConfig, Storage
from tinylm.errors import TinyLMError, command, did_you_mean
from tinylm.inspection import structure
from tinylm.inspection.copying import Copied, CopyIndex, together
from tinylm.paths import IN_MEMORY, given_path
from tinylm.spelling import named
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.dataset import Part, build_dataset
from tinylm.text.sources import Given, Options, Texts, chosen_source
from tinylm.text.split import Split, split_corpus
from tinylm.text.tokenizer import Tokenizer
from tinylm.training_text import open_training_text
from tinylm.writing import Writing

if TYPE_CHECKING:  # torch takes a second to import, and writing text does not need it
    from torch import Tensor

    from tinylm.model.transformer import TinyLM
    from tinylm.report import Baselines, Report, Text
    from tinylm.tensors import Weights
    from tinylm.text.left_out import LeftOut

STORAGES: tuple[Storage, ...] = get_args(Storage)
SAMPLES, SAMPLE_TOKENS = 3, 200
"""What `evaluate` lets the model write, to see what it copies."""
_OWN_TEXT = ("this is the text that the model was trained on, so the figures say how well it knows that, and not how "
             "well it reads anything else")


class LanguageModel(Writing):
    """A trained model. From `tinylm.train(...)` or `tinylm.load(folder)`.

    Attributes:
        model: the torch module; `model(ids)` gives logits (B, T, V). It is made when it is first asked for: predicting
            and writing need no torch where the compiled engine serves.
        tokenizer: text <-> ids.
        config: all choices that made it.
        folder: where it lies on the disk, if it does.
        training_corpus: the training text, where `config.data.source` cannot be opened again but this process has it.
        storage: how the weights are kept that it predicts and writes with; `model` has 32 bits always, and so have
            `evaluate` and `trace`, which ask that.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None = None, folder: Path | None = None,
                 *, weights: Weights | None = None, device: str = "cpu", storage: Storage = "fp32") -> None:
        """Either the module or its weights are given."""
        super().__init__(config, tokenizer, model, weights, device, storage)
        self.folder = folder
        self._copy_index: CopyIndex | None = None
        self.training_corpus: Corpus | None = None

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
        folder = given_path(folder)
        config, tokenizer = bundle.read_config(folder), bundle.read_tokenizer(folder)
        if tokenizer.vocab_size != config.model.vocab_size:
            raise TinyLMError(f"the tokenizer has {tokenizer.vocab_size} entries and the model "
                              f"{config.model.vocab_size}", where=str(folder),
                              remedy="The files of this folder do not belong together")
        weights = bundle.read_weights(folder, config.model)
        if device != "cpu":
            from tinylm.training.device import choose_device

            device = choose_device(device).type
        lm = cls(config, tokenizer, folder=folder, weights=weights, device=device, storage=known)
        lm.check_storage()
        return lm

    # ---- judging and looking inside

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
        from tinylm.report import baselines_of_run

        data = self.config.data
        source = chosen_source(source, texts)
        if source is None and read_as:
            raise TinyLMError("says how another text is read, and none was named", where=next(iter(read_as)),
                              remedy="Name the text to evaluate on, or leave this out")
        if source is None or (isinstance(source, Texts) and self._was_trained_on(source)):
            split = self._training_split()
            dataset = build_dataset(split, self.tokenizer)
            name = "validation" if dataset.validation else "train"
            report = self._judge(dataset.validation or dataset.train, name,
                                 baselines_of_run(split, dataset, self.tokenizer))
        else:
            corpus = open_corpus(source, Options.of(data), **read_as)
            split = split_corpus(corpus, 0.0)
            report = self._judge_other(split, corpus.name)
        own = [_OWN_TEXT] if source is not None and self._is_training_text(split) else []
        return replace(report, copying=self.copying(), notes=(*own, *split.notes()))

    def _judge_other(self, split: Split, name: str) -> Report:
        """The report on a text that the tokenizer may not know the whole of."""
        from tinylm.report import Text, measure_baselines
        from tinylm.text.left_out import KnownAlone, best_form, measure

        form = best_form(split.train, self.tokenizer)
        part = build_dataset(split, KnownAlone(self.tokenizer, form), least=1).train
        left_out = measure(split.train, self.tokenizer, form)
        judged = Text(part, split.train)
        if self._is_training_text(split):  # counting and compressing would know it by heart, too
            counted = measure_baselines(judged, judged, self.tokenizer.vocab_size, left_out)
        else:
            counted = self._baselines_of_training(judged, left_out)
        return self._judge(part, name, counted)

    def _is_training_text(self, split: Split) -> bool:
        return split.train.corpus.stats().fingerprint == self.config.data.fingerprint

    def _judge(self, part: Part, split: str, counted: Baselines) -> Report:
        from tinylm.report import judge

        report = judge(self.model, part, layout=self.config.data.rows, split=split, counted=counted)
        if not math.isfinite(report.loss):
            raise TinyLMError("its loss is not a finite number", where=str(self.folder or "model"),
                              remedy="The model is damaged: restore its folder from a copy, or train again")
        return report

    def _baselines_of_training(self, other: Text, left_out: LeftOut) -> Baselines:
        """Counted on the training text if that is still there, else on nothing."""
        from tinylm.report import Baselines, Text, measure_baselines

        try:
            split = self._training_split()
            train = Text(build_dataset(split, self.tokenizer).train, split.train)
        except TinyLMError:
            counted = measure_baselines(other, other, self.tokenizer.vocab_size, left_out)
            return Baselines({"uniform": counted.bits_per_byte["uniform"]}, left_out=left_out)
        return measure_baselines(train, other, self.tokenizer.vocab_size, left_out)

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
        data, folder = self.config.data, self.folder or Path("RUN")
        if self.training_corpus:
            return split_corpus(self.training_corpus, data.validation)
        judge = command("evaluate", folder, "SOURCE")
        if data.source == IN_MEMORY:
            raise TinyLMError("it was trained on texts in memory, which have to be given again",
                              where=str(self.folder or "model"),
                              remedy=f"In Python: lm.evaluate(texts=...); or name a text to evaluate on: {judge}")

        def elsewhere(*words: str) -> str:
            if not bundle.has_checkpoints(folder):
                return f"Judge the model on another text: {judge}"
            again = command("train", *words, "--resume", "--out", folder)
            return f"Judge the model on another text ({judge}), or say where this one is now: {again}"

        if not data.source or data.source == "-":
            raise TinyLMError("the text that it was trained on is not known", where=str(self.folder or "model"),
                              remedy=elsewhere("SOURCE"))
        return open_training_text(data, elsewhere)[1]

    def _was_trained_on(self, texts: Texts) -> bool:
        """True if these are the texts in memory that the model was trained on, which are then kept."""
        data = self.config.data
        corpus = open_corpus(texts, Options.of(data))
        if data.source != IN_MEMORY or corpus.stats().fingerprint != data.fingerprint:
            return False
        self.training_corpus = corpus
        return True

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
        with bundle.new_folder(folder, force=force) as temporary:
            self.write_into(temporary)
            if self.folder:
                bundle.copy_records(self.folder, temporary)
        self.folder = given_path(folder)
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
