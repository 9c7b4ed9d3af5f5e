"""The demo: the teaching notebook from its first line to its last, on the real model, in seconds.

A chapter is a function: it says in a sentence or two what is about to happen, lets it happen, and shows what did.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinylm.errors import command
from tinylm.evaluation.entropy import entropy_of, pair_entropy
from tinylm.reports.table import columns
from tinylm.text.reading.built_in import ANIMALS, HELLO

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

    from tinylm.config.schema import ModelConfig
    from tinylm.lm import LanguageModel
    from tinylm.runs.prepare import RunPlan
    from tinylm.sampling.predictions import Prediction
    from tinylm.text.rows import Batch

WIDTH = 92
"""Lines are no longer than this, however wide the terminal is."""
STRANGE = "Hi my name is Ben"
NEW_ORDER = "how you hello"
EPOCHS_A_LINE = 20
ANIMAL_EPOCHS = 400
"""Times over the three sentences after which the model is within 0.02 nats of the lowest loss possible."""


def run_demo(console: Console) -> None:
    """Prints all chapters. The model is trained on the way, in one thread, from the notebook's seed.

    Args:
        console: where the story is printed, in lines of at most `WIDTH` characters.
    """
    from rich.text import Text

    console.print(Text.assemble(("A language model from four sentences", "bold"), ", told in twelve steps. All of it "
                                "happens now, on this machine."), width=min(console.width, WIDTH))

    from tinylm.model.threads import torch_threads  # torch takes seconds to import: the first words come before it

    with torch_threads(1):
        story = _begin(console)
        for chapter in CHAPTERS:
            chapter(story)
    story.close()


@dataclass
class Story:
    """The state of the telling.

    Attributes:
        console: where it is printed.
        prepared: the run of the notebook preset, before its training.
        lm: the model; the chapter `training` trains it.
        sentences: the corpus.
        chapters: the number of chapters told so far.
    """

    console: Console
    prepared: RunPlan
    lm: LanguageModel
    sentences: list[str]
    chapters: int = 0

    def chapter(self, title: str, *explanation: str) -> None:
        self.chapters += 1
        self.console.print(f"\n{self.chapters:>2}  {title}", style="bold cyan")
        for line in textwrap.wrap(" ".join(explanation), self._width(4), break_on_hyphens=False):
            self.console.print(f"    {line}", soft_wrap=True)

    def show(self, lines: Iterable[str]) -> None:
        """Prints what happened, set apart from the explanation."""
        width = self._width(6)
        for line in lines:
            for part in textwrap.wrap(line, width, break_on_hyphens=False) if len(line) > width else [line]:
                self.console.print("    │ ", style="cyan", end="")
                self.console.print(part, soft_wrap=True)

    def close(self) -> None:
        self.console.print("\nNow try", style="bold")
        for line in columns(NEXT):
            self.console.print(f"    {line}", soft_wrap=True)
        self.console.print("The same in Python, cell by cell, is examples/notebook.ipynb.", width=self._width(0))

    def _width(self, indent: int) -> int:
        return max(20, min(self.console.width, WIDTH) - indent)


MODEL = Path("runs", "notebook")
NEXT = (
    (command("learn"), "why it works"),
    (command("train", "hello", "--preset", "notebook", "--out", MODEL), "kept in a folder"),
    (command("predict", MODEL, text="hello , how are"), "what comes next?"),
    (command("inspect", MODEL), "every weight"),
    (command("train", "python-reference", "--minutes", 2), "real English"),
    (command("train", "YOUR-TEXT.txt"), "your own"),
)


def _begin(console: Console, source: str = "hello", sentences: tuple[str, ...] = HELLO, **choices: Any) -> Story:
    from tinylm.config.overrides import merge_overrides
    from tinylm.lm import LanguageModel
    from tinylm.model.transformer import TinyLM
    from tinylm.runs.prepare import plan_run

    prepared = plan_run(source, merge_overrides(preset_name="notebook", **choices))
    model = TinyLM(prepared.setup.config.model, prepared.setup.config.train.seed)
    lm = LanguageModel(prepared.setup.config, prepared.setup.data.tokenizer, model)
    return Story(console, prepared, lm, list(sentences))


# ---- text


def corpus_and_vocabulary(story: Story) -> None:
    tokenizer = story.lm.tokenizer
    story.chapter("The corpus and its vocabulary",
                  "These sentences are all that the model will ever read. The vocabulary gives each word a number, its "
                  "id, after three marks: <pad> fills a row up, <bos> begins a text, <eos> ends it. Words come in "
                  "order of first appearance, so ids are the same in every run; the notebook's change, because it "
                  "walks through a set.")
    story.show(story.sentences)
    entries = [f"{tokenizer.token(id)}={id}" for id in range(tokenizer.vocab_size)]
    story.show(["", f"{len(entries)} entries: {'  '.join(entries)}"])


def encode_and_decode(story: Story) -> None:
    tokenizer, text = story.lm.tokenizer, story.sentences[-1]
    story.chapter("From text to ids, and back",
                  "Encoding looks every word up and puts <bos> before and <eos> after. Decoding goes the other way "
                  "and joins the words with spaces.")
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids)
    story.show([f"text     {text}", f"ids      {ids}", f"tokens   {' '.join(tokenizer.tokens(ids))}",
                f"decoded  {back}   ({'the same text' if back == text else 'another text'})"])


def unknown_words(story: Story) -> None:
    from tinylm.errors import TinyLMError

    story.chapter("A word that is not in the vocabulary",
                  f"This tokenizer knows only the words it has seen. Asked to encode {STRANGE!r}, it says which ones "
                  "it does not know, and what to do.")
    try:
        story.show([f"ids {story.lm.tokenizer.encode(STRANGE)}"])
    except TinyLMError as error:
        story.show([str(error)])


# ---- the model


def the_model(story: Story) -> None:
    config, text = story.lm.config.model, story.sentences[-1]
    story.chapter("The model",
                  f"The embedding turns each id into a vector of {config.d_model} numbers. {config.n_layers} layers "
                  f"rework it: attention ({config.n_heads} heads) takes in what other positions hold, then an MLP "
                  f"({config.d_mlp} hidden numbers, {config.mlp}) works on each position alone. A last norm and the "
                  "output head make a logit, a score, for each entry of the vocabulary. As in the notebook, nothing "
                  "tells it at which place a word stands.")
    activations = story.lm.trace(text)
    told = {"embed": "a vector for each token", "layers.0.attn.pattern": "in each head, who looks at whom",
            "layers.0.resid_post": "after the first layer",
            f"layers.{config.n_layers - 1}.resid_post": "after the last layer",
            "logits": "at each position, a score for each token"}
    story.show([f"<bos> {text}"])
    story.show(columns([(name, str(tuple(activations[name].shape)), about) for name, about in told.items()]))


def untrained_prediction(story: Story) -> None:
    story.chapter("What it expects before training",
                  "Softmax makes probabilities of the logits at the last position. The weights are still random, so "
                  "the five likeliest next tokens mean nothing; a guess would give each "
                  f"{1 / story.lm.tokenizer.vocab_size:.3f}.")
    rows = [(p.token, f"{p.probability:.3f}", "█" * round(32 * p.probability))
            for p in story.lm.predict(story.sentences[0], top=5)]
    story.show([f"<bos> {story.sentences[0]} …", *columns(rows)])


def untrained_generation(story: Story) -> None:
    story.chapter("Greedy generation before training",
                  "Generation appends the likeliest token and asks again, until it is <eos> or there are "
                  f"{story.lm.config.sample.max_tokens} new tokens. Nonsense in, nonsense out.")
    story.show(_continued(story.lm, story.sentences[0]))


def _continued(lm: LanguageModel, prompt: str) -> list[str]:
    completion = lm.complete(prompt, greedy=True)
    why = {"eos": "it wrote <eos>", "length": "enough tokens"}.get(completion.stopped_by, completion.stopped_by)
    return [f"prompt     {prompt}", f"new ids    {completion.ids}",
            f"new text   {' '.join(lm.tokenizer.tokens(completion.ids))}", f"stopped    {why}"]


def the_causal_mask(story: Story) -> None:
    first, *_ = story.sentences
    words = first.split()
    other = " ".join([*words[:-1], words[0]])
    story.chapter("With and without the causal mask",
                  "A model that is to predict the next word must not see it. The same weights read two texts that "
                  "differ in their last word alone. Without the mask that word changes what is expected earlier; "
                  "with it, each position sees only itself and the past.")
    middle = len(words) // 2
    story.show([f"text A   {first}", f"text B   {other}", "",
                f"Probability that {words[middle]!r} follows {' '.join(words[:middle])!r}, and the largest change of "
                "any logit before the last word:", ""])
    rows: list[tuple[str, ...]] = [("", "in text A", "in text B", "largest change")]
    for causal in (False, True):
        before, after = (_logits_with(story.lm, text, causal) for text in (first, other))
        id = story.lm.tokenizer.encode_text(words[middle])[0]
        probs = [f"{logits.softmax(-1)[middle, id]:.6f}" for logits in (before, after)]
        change = float((before - after)[:-1].abs().max())
        rows.append(("with the mask" if causal else "without the mask", *probs, f"{change:.6f}"))
    story.show(columns(rows, right=[1, 2, 3]))


def _logits_with(lm: LanguageModel, text: str, causal: bool) -> Tensor:
    """Logits (T, V) of the same weights with the causal mask or without."""
    import torch

    from tinylm.model.transformer import TinyLM

    model = TinyLM(lm.config.model.model_copy(update={"causal": causal})).eval()
    model.load_state_dict(lm.model.state_dict())
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([lm.tokenizer.encode_prompt(text)]))[0]
    return logits


# ---- training


def inputs_and_targets(story: Story) -> None:
    tokenizer = story.lm.tokenizer
    story.chapter("Inputs and targets",
                  "The target at each position is the next token, so targets are the inputs shifted by one. Short "
                  "rows are padded to the length of the longest, and all sentences together are one batch.")
    inputs, targets = _batch(story)
    shortest = (targets == tokenizer.pad_id).sum(1).argmax()
    story.show([f"inputs   {tokenizer.decode(inputs[shortest], specials=True)}",
                f"targets  {tokenizer.decode(targets[shortest], specials=True)}",
                "", f"inputs {inputs.shape}".ljust(36) + f"targets {targets.shape}"])
    story.show(_row(x).ljust(36) + _row(y) for x, y in zip(inputs.tolist(), targets.tolist(), strict=True))


def _batch(story: Story) -> Batch:
    return story.prepared.setup.rows.batch(0, len(story.sentences))


def _row(ids: list[int]) -> str:
    return " ".join(f"{id:>3}" for id in ids)


def training(story: Story) -> None:
    train, padding = story.lm.config.train, story.lm.tokenizer.pad_id
    _, targets = _batch(story)
    story.chapter("Training",
                  f"The loss is the cross-entropy at every position: minus the log of the probability given to the "
                  f"right token, on average. {train.epochs:g} times over all sentences, Adam takes a step of "
                  f"{train.learning_rate:g} that lowers it.")
    story.show(_train(story))
    counted, real = _losses(story)
    story.show(["", f"The notebook cuts a corner here: {(targets == padding).sum()} of its {targets.size} targets are "
                "padding, and it counts them. They are easy, so the loss looks better than the model is, and part of "
                "the training goes into writing <pad>. Everywhere but in this preset, tinylm leaves padding out.",
                f"loss with padding counted {counted:.4f}, of the words and <eos> alone {real:.4f}", "Both are without "
                "dropout, which is on in the steps above. The lowest loss possible on the words is "
                f"{entropy_of(story.sentences) / (targets != padding).sum():.4f}: how a sentence begins, and what "
                "follows 'how', is open."])


def _train(story: Story) -> Iterable[str]:
    from tinylm.training.controller import ScheduleController
    from tinylm.training.events import Stepped
    from tinylm.training.loop import Training
    from tinylm.training.optimizer import make_optimizers
    from tinylm.training.schedule import StepHorizon

    model, train, steps = story.lm.model, story.lm.config.train, story.prepared.setup.n_steps
    assert steps is not None, "the notebook preset counts epochs"
    controller = ScheduleController(train, StepHorizon(steps))
    loop = Training(model, make_optimizers(model, train), story.prepared.setup.rows, train, controller)
    for event in loop.events():
        if isinstance(event, Stepped) and event.step % EPOCHS_A_LINE == 0:
            yield f"epoch {event.epoch:>3.0f} of {train.epochs:g}   loss {event.loss:.4f}"
    model.eval()


def _losses(story: Story) -> tuple[float, float]:
    """The loss of the trained model in nats a token, with padding counted and without."""
    import numpy as np

    from tinylm.text.rows import IGNORE
    from tinylm.training.backend import TrainingBackend
    from tinylm.training.loss import count_targets

    inputs, targets = _batch(story)
    masked = np.where(targets == story.lm.tokenizer.pad_id, IGNORE, targets)
    backend = TrainingBackend(story.lm.model)
    counted, real = (backend.loss(inputs, t).item() / count_targets([(inputs, t)]) for t in (targets, masked))
    return counted, real


# ---- the trained model


def trained_generation(story: Story) -> None:
    story.chapter("What it writes now",
                  f"{NEW_ORDER!r} was in no sentence, yet it goes on with something that was. And each sentence, given "
                  "only as many opening words as tell it from the others, comes back.")
    story.show([*_continued(story.lm, NEW_ORDER), ""])
    rows = []
    for sentence in story.sentences:
        opening = _opening(sentence, story.sentences)
        whole = f"{opening} {story.lm.generate(opening, greedy=True)}"
        rows.append((opening, "→", whole, "✓" if whole == sentence else "✗"))
    story.show(columns(rows))


def _opening(sentence: str, sentences: Iterable[str]) -> str:
    """The fewest first words that begin no other of the sentences."""
    words, others = sentence.split(), [other.split() for other in sentences if other != sentence]
    shortest = next(n for n in range(1, len(words) + 1) if all(other[:n] != words[:n] for other in others))
    return " ".join(words[:shortest])


def structure(story: Story) -> None:
    from tinylm.inspection.structure import breakdown, draw, total_parameters

    config = story.lm.config.model
    total = sum(weights.numel() for weights in story.lm.model.parameters())
    story.chapter("The structure, and how many weights it has",
                  "Every part with the shape of its matrix (out, in) and of its bias, then every tensor with its "
                  "formula. A matrix has in * out weights and its bias out more: (in + 1) * out, which is where the "
                  "33 and the 65 of the notebook's sum come from.")
    head, *tree = draw(config).splitlines()
    story.show([head.partition("  =")[0], *tree, "", *_parameters(config), "",
                breakdown(config), f"= {total_parameters(config):,} by the formula; the model itself holds {total:,}"])


def _parameters(config: ModelConfig) -> list[str]:
    """Lines of a table: every tensor with its formula and count. The layers are alike and stand in it once."""
    from tinylm.inspection.structure import parameter_table

    rows = [("parameter", "formula", "count")]
    for tensor in parameter_table(config):
        name = tensor.name.replace("layers.0.", "each layer's ")
        if not name.startswith("layers."):
            n = config.n_layers if name != tensor.name else 1
            rows.append((name, f"{n} * ({tensor.formula})" if n > 1 else tensor.formula, f"{n * tensor.count:,}"))
    return columns(rows, right=[2])


def why_look_back(story: Story) -> None:
    animals = _begin(story.console, "animals", ANIMALS, epochs=ANIMAL_EPOCHS)
    ids = [animals.lm.tokenizer.encode(sentence) for sentence in ANIMALS]
    opening = ANIMALS[-1].rsplit(" ", 2)[0]
    story.chapter("Why look back at all",
                  "In the four sentences the next word follows from the last one: a table of which word follows which "
                  f"does as well. Not in these three, where after {opening.split()[-1]!r} it can only guess. A model "
                  f"of the same shape, trained {ANIMAL_EPOCHS} times over them, looks back to the animal; with its "
                  "heads switched off it guesses, too. Which animal comes is open, so no loss can be 0.")
    for _ in _train(animals):
        pass
    off = animals.lm.explainer.effect("attn")
    tokens = sum(len(each) - 1 for each in ids)  # all but <bos> are predicted
    story.show([*ANIMALS, "", *columns([
        ("loss in nats a token", ""), ("a table of pairs, at best", f"{pair_entropy(ids) / tokens:.4f}"),
        ("the model, its heads off", f"{off.parts[0].loss:.4f}"), ("the model", f"{off.loss:.4f}"),
        ("the lowest possible", f"{entropy_of(list(ANIMALS)) / tokens:.4f}")])])
    looking = animals.lm.explain(opening)
    story.show(["", f"after {opening!r}", *columns([
        ("the model", *map(_word_and_probability, looking.next(3))),
        ("its heads off", *map(_word_and_probability, looking.without("attn").next(3)))])])


def _word_and_probability(prediction: Prediction) -> str:
    return f"{prediction.token} {prediction.probability:.3f}"


CHAPTERS: tuple[Callable[[Story], None], ...] = (
    corpus_and_vocabulary, encode_and_decode, unknown_words, the_model, untrained_prediction, untrained_generation,
    the_causal_mask, inputs_and_targets, training, trained_generation, structure, why_look_back,
)
