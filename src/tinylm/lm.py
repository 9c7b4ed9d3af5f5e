"""LanguageModel: a model with its tokenizer, as one holds it in a notebook or a program."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from tinylm import model_folder
from tinylm.config.aliases import either_name
from tinylm.config.schema import RunConfig, SampleConfig, WeightDtype
from tinylm.generation.completion import Completion
from tinylm.generation.generator import Prompt, Prompts, TextGenerator, is_one
from tinylm.generation.loaded_model import LoadedModel, find_weight_dtype
from tinylm.inspection import structure
from tinylm.model.tensors import Weights, weights_of
from tinylm.sampling.predictions import Prediction
from tinylm.system.paths import given_path
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # torch takes a second to import, reading texts some hundredths, and writing text does not need them
    from torch import Tensor

    from tinylm.evaluation.evaluator import Evaluator
    from tinylm.evaluation.memorization import CopyIndex, Overlap
    from tinylm.evaluation.report import Report
    from tinylm.generation.batch import Batch
    from tinylm.generation.chat import Chat
    from tinylm.inspection.explainer import Explainer
    from tinylm.inspection.explanation import Explanation
    from tinylm.interchange.export import Export
    from tinylm.model.transformer import TinyLM
    from tinylm.text.reading.sources import SourceLike


class LanguageModel:
    """A model with its tokenizer, from `tinylm.train(...)` or `tinylm.load(folder)`.

    Args:
        config: all settings that made the model.
        tokenizer: text <-> ids.
        model: a torch module whose weights may still change. None: `weights` are given instead.
        folder: the model folder on the disk, if there is one.
        weights: the parameters by name.
        device: the device of the module that is made of the weights: "cpu", "cuda", "mps" or "auto".
        weight_dtype: how the engine keeps the weights: "fp32", "bf16" or "int8".

    Attributes:
        config, tokenizer, folder, weight_dtype: as given.
        generator: predicts and generates; the methods below ask it.

    >>> lm
    <LanguageModel: 17,932 parameters, 12 tokens (word)>
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None = None, folder: Path | None = None,
                 *, weights: Weights | None = None, device: str = "cpu", weight_dtype: WeightDtype = "fp32") -> None:
        self.config, self.tokenizer, self.folder, self.weight_dtype = config, tokenizer, folder, weight_dtype
        tokenizer.line_ends = config.data.line_ends
        self.generator = TextGenerator(LoadedModel(config.model, model, weights, device, weight_dtype), tokenizer,
                                       config.sample)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", weight_dtype: WeightDtype | None = None,
             storage: WeightDtype | None = None) -> LanguageModel:
        """Reads a model folder, and runs no code from it.

        Args:
            folder: the path of the folder; or the name of a built-in model: "english".
            device: "cpu" (the default, and the quickest for small models), "cuda", "mps", or "auto".
            weight_dtype: how the engine keeps the weights: "fp32" (the default); "bf16", half as many bytes; or "int8",
                a quarter. Fewer bytes are quicker to read, which counts in large models, and make probabilities a
                little inexact.
            storage: the old name of `weight_dtype`.

        Raises:
            TinyLMError: no such folder, or a damaged one; no such weight dtype, one for the compiled engine where that
                does not serve (`served_by`), or one by both names.
        """
        known = find_weight_dtype(either_name("weight_dtype", weight_dtype, storage) or "fp32")
        path = model_folder.model_path(folder)
        config, tokenizer, weights = model_folder.read_model(path)
        lm = cls(config, tokenizer, folder=path, weights=weights, device=device, weight_dtype=known)
        lm.generator.model.check_weight_dtype()
        return lm

    @property
    def model(self) -> TinyLM:
        """The torch module in evaluation mode; `model(ids)` gives logits (B, T, V) from ids (B, T).

        The module has 32-bit weights whatever `weight_dtype` is, as have `evaluate` and `trace`, which use it. It is
        made when it is first asked for: predicting and generating need no torch where the compiled engine serves.
        """
        return self.generator.model.module

    @property
    def served_by(self) -> Literal["engine", "torch"]:
        """The backend that predicts and generates: the compiled engine for weights on the CPU, as long as `model` is as
        it was loaded; torch for a module that has been changed, that a hook listens to, or that sees the future.

        >>> lm.served_by
        'engine'
        """
        return self.generator.model.served_by

    # ---- predicting and generating

    def predict(self, prompt: Prompt, top: int = 5) -> list[Prediction]:
        """The most likely next tokens, best first.

        Args:
            prompt: a text; or ids, as in `generate`.
            top: the number of predictions, at least 1.

        Raises:
            TinyLMError: the tokenizer does not know a word or character, in no other spelling either. One that it knows
                in another spelling is read with a `NearFormWarning`, here and wherever a text is given.

        >>> [(best.token, best.probability > 0.9) for best in lm.predict("hello , how are", top=1)]
        [('you', True)]
        """
        return self.generator.predict(prompt, top)

    @overload
    def generate(self, prompt: Prompt = "", *, samples: None = None, **settings: Any) -> str: ...

    @overload
    def generate(self, prompt: Prompts = "", *, samples: int | None = None, **settings: Any) -> list[str]: ...

    def generate(self, prompt: Prompts = "", *, samples: int | None = None, **settings: Any) -> str | list[str]:
        """The text that the model generates after a prompt, without the prompt.

        Args:
            prompt: a text; or ids, such as `tokenizer.encode` gives (an `<eos>` at their end is left out, since a model
                begins another text after it); or a list of either.
            samples: the number of texts for each prompt. The first has the seed, each further one the next number; of
                beams they are the best that were found. None: one text, which is then no list for a single prompt.
                Texts that are generated together are the same as one by one.
            settings: fields of `SampleConfig`, such as max_tokens, greedy, temperature, top_k, top_p, stop and seed. A
                field that is not given is as in `config.sample`; without a seed, each call takes another.

        Returns:
            A text; or a list of texts, one prompt after another, for a list of prompts or where `samples` is given.

        Raises:
            TinyLMError: a setting that does not exist or cannot be; a word or character that the tokenizer does not
                know; with `overflow` "error", a prompt longer than the context.

        >>> lm.generate("how is", greedy=True)
        'your day ?'
        >>> lm.generate(["how is", "how are"], greedy=True)
        ['your day ?', 'you ?']
        """
        if samples is None and is_one(prompt):
            return self.complete(prompt, **settings).text
        return [each.text for each in self.complete(prompt, samples=samples, **settings)]

    def stream(self, prompt: Prompt = "", **settings: Any) -> Iterator[str]:
        """The text of `generate`, a piece for each token as it comes. Arguments and errors: as `generate`.

        >>> "".join(lm.stream("how is", greedy=True))
        'your day ?'
        """
        yield from self.complete_stepwise(prompt, **settings)

    @overload
    def complete(self, prompt: Prompt = "", *, samples: None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion: ...

    @overload
    def complete(self, prompt: Prompts = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> list[Completion]: ...

    def complete(self, prompt: Prompts = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion | list[Completion]:
        """The text of `generate` with its ids, its seed, and the reason why it ended.

        Args:
            prompt: as `generate`.
            samples: as `generate`.
            settings: as `generate`.
            logprobs: notes the log-probability of each token, and so many of the likeliest alternatives. None: neither.

        Raises:
            TinyLMError: as `generate`.

        >>> completion = lm.complete("how is", greedy=True, max_tokens=2, logprobs=0)
        >>> completion.text, completion.stopped_by, len(completion.logprobs)
        ('your day', 'length', 2)
        """
        if samples is None and is_one(prompt):
            from tinylm.generation.scoring import last

            return last(self.complete_stepwise(prompt, logprobs=logprobs, **settings))
        prompts = [prompt] if is_one(prompt) else cast("list[Prompt]", prompt)
        return self.generator.complete(prompts, 1 if samples is None else samples, logprobs, settings)

    def complete_stepwise(self, prompt: Prompt = "", *, logprobs: int | None = None,
                          **settings: Any) -> Generator[str, None, Completion]:
        """A generator that yields the text piece by piece, and returns the `Completion`. Arguments: as `complete`."""
        return self.generator.complete_stepwise(prompt, logprobs=logprobs, **settings)

    def batch(self) -> Batch:
        """An empty batch, for sequences of ids that are generated together (generation/batch.py)."""
        return self.generator.batch()

    def sample_config(self, **settings: Any) -> SampleConfig:
        """The model's own sampling settings with some of them changed.

        Args:
            settings: fields of `SampleConfig`. None stands for one that is not given. A temperature takes the place of
                `greedy`, unless `greedy` is given, too.

        Raises:
            TinyLMError: a setting that does not exist, or a value that cannot be.

        >>> lm.sample_config(temperature=0.5).greedy
        False
        """
        return self.generator.sample_config(**settings)

    @property
    def chat(self) -> Chat:
        """The answers of a model that was trained on conversations: `lm.chat(messages)`, `lm.chat.stream(messages)`,
        `lm.chat.complete(messages)` (generation/chat.py).

        >>> tinylm.load("runs/chat").chat("how are you ?", greedy=True)
        'fine , and you ?'
        """
        from tinylm.generation.chat import Chat

        return Chat(self.generator, self.config.data.chat_format)

    # ---- judging and looking inside

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator of this model, made when it is first asked for."""
        from tinylm.evaluation.evaluator import Evaluator

        return Evaluator(self)

    def evaluate(self, source: SourceLike | None = None, *, texts: str | Iterable[str] | None = None,
                 **read_as: Any) -> Report:
        """Measures the loss on a text: in nats a token, as perplexity, and in bits a byte beside the baselines.

        The report also tells how much of three generated texts is copied from the training text.

        Args:
            source: the path or name of a text. None: the validation text of the training run; or the training text,
                where nothing was held out. The parts of another text that the tokenizer does not know are counted and
                charged (`Report.left_out`), and the model reads on as if they were not there.
            texts: strings instead of a source. Those that the model was trained on count as its training text.
            read_as: documents, text_field, skip_bad or encoding, where the source is not to be read as the training
                text was.

        Raises:
            TinyLMError: the training text has moved or changed, or the other text cannot be read.

        >>> report = lm.evaluate()
        >>> report.split, report.loss < 1
        ('train', True)
        """
        from tinylm.text.reading.sources import chosen_source

        return self.evaluator.evaluate(chosen_source(source, texts, "lm.evaluate"), read_as)

    def copied(self, text: str) -> Overlap:
        """Finds the parts of a text that stand word for word in the training text.

        The first call reads the training text, at about a second for each 50 megabytes.

        Raises:
            TinyLMError: the training text has moved or changed.

        >>> lm.copied("how is your day ?").longest
        5
        """
        return self.evaluator.copied(text)

    def copying(self, index: CopyIndex | None = None) -> Overlap | None:
        """Finds the parts of a few generated texts that stand in the training text; None where that cannot be read.

        Args:
            index: the index of the training text, where there is one already.
        """
        return self.evaluator.copying(index)

    def inspect(self) -> dict[str, Any]:
        """Describes the model: each parameter tensor with its shape and formula, the memory, and the FLOPs.

        Returns:
            What `tinylm inspect --json` prints.

        >>> lm.inspect()["parameters"]["total"] == sum(each.numel() for each in lm.model.parameters())
        True
        """
        return structure.describe_run(self.config)

    def trace(self, text: str) -> dict[str, Tensor]:
        """Computes the model on `<bos>` and a text, and gives each activation by its name (docs/NAMES.md).

        Returns:
            Tensors with B = 1 and T = 1 + the tokens of the text.

        Raises:
            TinyLMError: as `predict`.

        >>> lm.trace("how are you")["logits"].shape
        torch.Size([1, 4, 12])
        """
        from tinylm.inspection import trace

        return trace.trace(self.model, self.generator.encode_prompt(text))

    def explain(self, prompt: Prompt) -> Explanation:
        """Explains what the model computes on a text: how it expected each token, where its heads look, which part
        speaks for a token, and what changes without it (docs/EXPLAIN.md). Arguments and errors: as `predict`; a text
        longer than the context is an error, too.

        >>> lm.explain("hello , how are").without("attn").next(1)[0].token
        'you'
        """
        return self.explainer.explain(prompt)

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of this model: its heads, MLPs and embedding, whatever the text."""
        from tinylm.inspection.explainer import Explainer

        return Explainer(self)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Writes a model folder, whole or not at all. Returns its path.

        Args:
            folder: the path.
            force: replaces a model that is there.

        Raises:
            TinyLMError: the folder exists, or cannot be written.
        """
        with model_folder.new_folder(folder, force=force) as temporary:
            self.write_into(temporary)
            if self.folder:
                model_folder.copy_records(self.folder, temporary)
        self.folder = given_path(folder)
        return self.folder

    def export(self, folder: str | Path, to: str = "gguf", *, dtype: str | None = None, force: bool = False) -> Export:
        """Writes the model in another program's format, and reads it back before the export is there.

        Args:
            folder: the path of the export, which is made; of html, the file.
            to: "hf" for transformers; "gguf" for llama.cpp, Ollama and LM Studio; "onnx" for ONNX Runtime and
                transformers.js; "html" for a page that runs the model in a browser.
            dtype: the numbers of the matrices: "f32", "f16" or "q8_0". None: what the format is mostly used with.
            force: replaces an earlier export.

        Raises:
            TinyLMError: as `tinylm.interchange.export.export`.

        >>> sorted(lm.export("exported", to="onnx").files)[:2]
        ['README.md', 'config.json']
        """
        from tinylm.interchange.export import export, name_of
        from tinylm.interchange.source import ExportedModel

        name, card, template = "model", "", ""
        if self.folder:
            name, card = name_of(self.folder), model_folder.read_card(self.folder)
            template = model_folder.read_chat_template(self.folder)
        model = ExportedModel(name, self.config, self.tokenizer, weights_of(self.model), card, template)
        return export(model, to, folder, dtype=dtype, force=force)

    def write_into(self, folder: Path) -> None:
        """Writes the files that make a folder loadable: config, tokenizer, weights."""
        model_folder.write_config(folder, self.config)
        self.tokenizer.save(folder / model_folder.TOKENIZER)
        model_folder.write_weights(folder, weights_of(self.model))

    def __repr__(self) -> str:
        size = structure.total_parameters(self.config.model)
        return f"<LanguageModel: {size:,} parameters, {self.tokenizer.vocab_size:,} tokens ({self.tokenizer.kind})>"


def load(folder: str | Path, *, device: str = "cpu", weight_dtype: WeightDtype | None = None,
         storage: WeightDtype | None = None) -> LanguageModel:
    """Reads a model folder. Arguments and errors: as `LanguageModel.load`.

    >>> tinylm.load("runs/notebook").generate("how is", greedy=True)
    'your day ?'
    """
    return LanguageModel.load(folder, device=device, weight_dtype=weight_dtype, storage=storage)
