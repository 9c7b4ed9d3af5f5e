"""Evaluation of a model: its loss on a text, and what it copies. LanguageModel's way into report.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tinylm import model_folder
from tinylm.chat.corpus import conversations_of, open_source
from tinylm.errors import TinyLMError, command
from tinylm.evaluation.answers import MAX_QUESTIONS, AnsweringModel, ask, count_answers, questions_of
from tinylm.evaluation.base import Base
from tinylm.evaluation.memorization import CopiedSpan, CopyIndex, Overlap, combine
from tinylm.evaluation.training_text import open_training_text
from tinylm.system.paths import IN_MEMORY
from tinylm.text.corpus import Corpus
from tinylm.text.dataset import Part, build_dataset
from tinylm.text.reading.sources import Options, SourceLike, Texts
from tinylm.text.split import Slice, Split, split_corpus
from tinylm.text.turns import whole_turns

if TYPE_CHECKING:  # torch takes a second to import, and what a text copies is found without
    from tinylm.evaluation.report import Baselines, EncodedText, Report
    from tinylm.model.transformer import TinyLM
    from tinylm.text.left_out import LeftOut
    from tinylm.text.rows import Batch

COPYING_SAMPLES, COPYING_TOKENS = 3, 200
"""Texts that `copying` lets the model write, and the tokens of each."""
SAMPLED_BATCH_TOKENS = 512
"""Tokens of a batch where only some batches of a text are taken, here and there."""
_OWN_TEXT = ("this is the text that the model was trained on, so the figures say how well it knows that, and not how "
             "well it reads anything else")


class EvaluatedModel(AnsweringModel, Protocol):
    """A `LanguageModel`, as far as its evaluation needs it."""

    folder: Path | None

    @property
    def model(self) -> TinyLM:
        """The torch module."""

    def generate(self, prompt: str = "", *, samples: int, **settings: Any) -> list[str]:
        """Texts from nothing, whose overlap with the training text is measured."""


class Evaluator:
    """Evaluates one model.

    Attributes:
        training_corpus: the training text, where `config.data.source` cannot be opened again but this process has it.
    """

    def __init__(self, lm: EvaluatedModel) -> None:
        self.lm = lm
        self.training_corpus: Corpus | None = None
        self._copy_index: CopyIndex | None = None

    def evaluate(self, source: SourceLike | None, read_as: dict[str, Any]) -> Report:
        """See `LanguageModel.evaluate`."""
        from tinylm.evaluation.report import baselines_of_run

        if source is None and read_as:
            raise TinyLMError("says how another text is read, and none was named", where=next(iter(read_as)),
                              remedy="Name the text to evaluate on, or leave this out")
        if source is None or (isinstance(source, Texts) and self._was_trained_on(source)):
            split = self._training_split()
            dataset = build_dataset(split, self.lm.tokenizer)
            name = "validation" if dataset.validation else "train"
            report = self._make_report(dataset.validation or dataset.train, name,
                                       baselines_of_run(split, dataset, self.lm.tokenizer,
                                                        self.lm.config.data.packing))
        else:
            corpus = open_source(source, Options.of(self.lm.config.data), **read_as)
            split = split_corpus(corpus, 0.0)
            report = self._report_on_other_text(split, corpus.name)
        own = [_OWN_TEXT] if source is not None and self._is_training_text(split) else []
        report = replace(report, notes=(*own, *report.notes, *split.notes()))
        return self.with_writing(report, split.validation or split.train)

    def with_writing(self, report: Report, text: Slice, index: CopyIndex | None = None,
                     most: int = MAX_QUESTIONS) -> Report:
        """The report with what the model writes: of a chat model, its answers to the questions of `text`; and what is
        copied.

        Args:
            index: the index of the training text, where there is one already.
            most: questions that are asked, at most.
        """
        conversations = conversations_of(text)
        if not conversations:
            return replace(report, copying=self.copying(index))
        questions = questions_of(conversations, most)
        answers = ask(self.lm, questions)
        return replace(report, answers=count_answers(questions, answers),
                       copying=self.copying(index, [answer.text for answer in answers if answer.text]))

    def own_batches(self, n_tokens: int) -> tuple[str, list[Batch]]:
        """Batches of about so many tokens of the text that the model is evaluated by, evenly from the whole of it.

        Returns:
            "validation", or "train" where nothing was held out; and the batches.

        Raises:
            TinyLMError: the training text has moved or changed.
        """
        from tinylm.evaluation.report import evaluation_batches

        dataset = build_dataset(self._training_split(), self.lm.tokenizer)
        part, config = dataset.validation or dataset.train, self.lm.config
        batches = list(evaluation_batches(part, config.data.packing, config.model.context_length,
                                          batch_tokens=SAMPLED_BATCH_TOKENS))
        count = min(len(batches), max(1, round(n_tokens * len(batches) / max(1, part.n_tokens))))
        some = [batches[i * len(batches) // count] for i in range(count)]
        return "validation" if dataset.validation else "train", some

    def _report_on_other_text(self, split: Split, name: str) -> Report:
        """The report on a text that the tokenizer may not know the whole of."""
        from tinylm.evaluation.report import EncodedText, measure_baselines
        from tinylm.text.left_out import LossyTokenizer, best_form, measure

        form = best_form(split.train, self.lm.tokenizer)
        part = build_dataset(split, LossyTokenizer(self.lm.tokenizer, form), least=1).train
        left_out = measure(split.train, self.lm.tokenizer, form)
        other = EncodedText(part, split.train)
        if self._is_training_text(split):  # counting and compressing would know it by heart, too
            counted = measure_baselines(other, other, self.lm.tokenizer.vocab_size, left_out)
        else:
            counted = self._baselines_of_training(other, left_out)
        return self._make_report(part, name, counted.with_entropy(other, self.lm.config.data.packing))

    def _is_training_text(self, split: Split) -> bool:
        return split.train.corpus.stats().fingerprint == self.lm.config.data.fingerprint

    def _make_report(self, part: Part, split: str, baselines: Baselines) -> Report:
        from tinylm.evaluation.report import evaluation_batches, make_report
        from tinylm.training.evaluate import evaluate

        config, model = self.lm.config, self.lm.model
        part = whole_turns(part, config.model.context_length)
        if part.is_target is not None and not part.n_tokens:
            raise TinyLMError(f"no question fits with its answer into the {config.model.context_length:,} tokens that "
                              "the model sees at once", where=split, remedy="Evaluate on shorter conversations")
        batches = evaluation_batches(part, config.data.packing, config.model.context_length)
        nats, tokens = evaluate(model, batches)
        if not math.isfinite(nats):
            raise TinyLMError("its loss is not a finite number", where=str(self.lm.folder or "model"),
                              remedy="The model is damaged: restore its folder from a copy, or train again")
        report = make_report(nats, tokens, part.n_bytes, split=split, baselines=baselines)
        return self._beside_base(report, part, baselines) if self.lm.config.base.folder else report

    def _beside_base(self, report: Report, part: Part, baselines: Baselines) -> Report:
        """The report with the base on the same text among the baselines, or with a note on why it is not there."""
        from tinylm.evaluation.report import evaluation_batches
        from tinylm.training.evaluate import evaluate

        config = self.lm.config
        try:
            base = Base.reopen(config.base)
        except TinyLMError as error:
            return replace(report, notes=(f"the model cannot be compared with its base: {error.where}: {error.what}",))
        batches = evaluation_batches(part, config.data.packing, config.model.context_length)
        model = model_folder.make_model(base.shape(config.model.context_length), base.weights).eval()
        result = evaluate(model.to(next(self.lm.model.parameters()).device), batches)
        return replace(report, baselines=baselines.with_base(*result, part.n_bytes).bits_per_byte)

    def _baselines_of_training(self, other: EncodedText, left_out: LeftOut) -> Baselines:
        """Counted on the training text if that is still there, else on nothing."""
        from tinylm.evaluation.report import Baselines, EncodedText, measure_baselines

        try:
            split = self._training_split()
            train = EncodedText(build_dataset(split, self.lm.tokenizer).train, split.train)
        except TinyLMError:
            counted = measure_baselines(other, other, self.lm.tokenizer.vocab_size, left_out)
            return Baselines({"uniform": counted.bits_per_byte["uniform"]}, left_out=left_out)
        return measure_baselines(train, other, self.lm.tokenizer.vocab_size, left_out)

    def copied(self, text: str) -> Overlap:
        """See `LanguageModel.copied`."""
        return self._index().measure(text)

    def copied_spans(self, text: str) -> list[CopiedSpan]:
        """The stretches of a text that stand word for word in the training text. Raises: as `LanguageModel.copied`."""
        return self._index().spans(text)

    def _index(self) -> CopyIndex:
        if self._copy_index is None:
            self._copy_index = CopyIndex(self._training_split().train)
        return self._copy_index

    def copying(self, index: CopyIndex | None = None, written: Sequence[str] = ()) -> Overlap | None:
        """See `LanguageModel.copying`. Args: written: texts of the model; by default some are generated."""
        self._copy_index = index or self._copy_index
        written = written or self.lm.generate(samples=COPYING_SAMPLES, max_tokens=COPYING_TOKENS, seed=0)
        try:
            return combine([self.copied(text) for text in written])
        except TinyLMError:
            return None

    def _training_split(self) -> Split:
        data, folder = self.lm.config.data, self.lm.folder or Path("RUN")
        if self.training_corpus:
            return split_corpus(self.training_corpus, data.validation)
        evaluate = command("evaluate", folder, "SOURCE")
        if data.source == IN_MEMORY:
            raise TinyLMError("it was trained on texts in memory, which have to be given again",
                              where=str(self.lm.folder or "model"),
                              remedy=f"In Python: lm.evaluate(texts=...); or name a text to evaluate on: {evaluate}")

        def elsewhere(*words: str) -> str:
            if not model_folder.has_checkpoints(folder):
                return f"Evaluate the model on another text: {evaluate}"
            again = command("train", *words, "--resume", "--out", folder)
            return f"Evaluate the model on another text ({evaluate}), or say where this one is now: {again}"

        if not data.source or data.source == "-":
            raise TinyLMError("the text that it was trained on is not known", where=str(self.lm.folder or "model"),
                              remedy=elsewhere("SOURCE"))
        return open_training_text(data, elsewhere)[1]

    def _was_trained_on(self, texts: Texts) -> bool:
        """True if these are the texts in memory that the model was trained on, which are then kept."""
        data = self.lm.config.data
        corpus = open_source(texts, Options.of(data))
        if data.source != IN_MEMORY or corpus.stats().fingerprint != data.fingerprint:
            return False
        self.training_corpus = corpus
        return True
