"""Settings of a run, in frozen sections: model, data, train, sample, and base for a run that begins from a model.

A config holds the settings alone; what follows from them (the number of parameters, ...) is a property or a function
elsewhere. An unknown key, a wrong type or sizes that do not fit together raise `TinyLMError` naming the field. Presets
and sizes (presets.py) are partial configs; old names of settings (aliases.py) stay accepted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tinylm.config.presets import preset
from tinylm.config.sample_settings import MAX_INT32, MAX_SEED, SampleSettings
from tinylm.config.section import Section
from tinylm.config.spelling import ExpectedValues
from tinylm.errors import TinyLMError, did_you_mean

MAX_MINUTES = 1e7
"""Minutes of a run, at most: 19 years."""

MAX_SUGGESTED_HEADS = 1024
"""The largest number of heads that a remedy suggests."""
WeightDtype = Literal["fp32", "bf16", "int8"]
"""The format in which the compiled engine keeps a model's matrices: numbers of 32 bits, of 16, or of 8 with a scale for
each output."""


def default_d_mlp(mlp: str, d_model: int) -> int:
    """The default width of the MLP: 4 d_model; 8/3 d_model for a gated MLP, whose three matrices then have as many
    weights as the two wider ones would (Shazeer 2020, arXiv 2002.05202), rounded up to a multiple of 32.

    >>> default_d_mlp("gelu", 128), default_d_mlp("swiglu", 128)
    (512, 352)
    """
    return -(-8 * d_model // (3 * 32)) * 32 if mlp == "swiglu" else 4 * d_model


class ModelConfig(Section):
    """The shape of a transformer: its sizes, norms, positions and activation. Only `vocab_size` is required; the
    defaults are the shape of Qwen3, at the size 0.8M. Sizes are numbers of dimensions, tokens, layers or heads.

    Raises:
        TinyLMError: an unknown setting, a value out of its bounds, or sizes that do not fit together; the error names
            the field and a value that fits.

    >>> shape = ModelConfig(vocab_size=1000, d_model=64, n_heads=2)
    >>> shape.d_head, shape.d_mlp, shape.norm
    (32, 192, 'rmsnorm')
    """

    vocab_size: int = Field(ge=1, le=MAX_INT32, description="entries of the vocabulary")
    context_length: int = Field(256, ge=1, le=MAX_INT32, description="the longest sequence it is trained on, in tokens")
    d_model: int = Field(128, ge=1, le=MAX_INT32, description="width of the residual stream")
    n_layers: int = Field(4, ge=0, le=1000, description="transformer blocks")
    n_heads: int = Field(4, ge=1, le=MAX_INT32, description="query heads of each attention layer")
    n_kv_heads: int = Field(default_factory=lambda values: values.get("n_heads", 1), ge=1, le=MAX_INT32,
                            description="key/value heads; fewer than n_heads is grouped-query attention")
    d_head: int = Field(default_factory=lambda values: values.get("d_model", 1) // values.get("n_heads", 1),
                        ge=1, le=MAX_INT32, description="width of one head; default: d_model / n_heads")
    mlp: Literal["relu", "gelu", "squared_relu", "swiglu"] = Field(
        "swiglu", description="activation of the MLP; swiglu multiplies it by a gate")
    d_mlp: int = Field(default_factory=lambda values: default_d_mlp(values.get("mlp", ""), values.get("d_model", 1)),
                       ge=1, le=MAX_INT32, description="width of the MLP's hidden layer")
    norm: Literal["layernorm", "rmsnorm"] = Field("rmsnorm", description="the normalisation of the residual stream")
    norm_position: Literal["pre", "post"] = Field(
        "pre", description="before attention and MLP, or after each is added to the residual stream")
    norm_eps: float = Field(1e-6, gt=0, le=1, description="added to the variance, against a division by zero")
    positions: Literal["none", "learned", "rotary"] = Field(
        "rotary", description="none; a learned vector for each position; or rotated queries and keys")
    rope_theta: float = Field(10_000.0, gt=0, description="base of the rotary wavelengths")
    qk_norm: bool = Field(True, description="normalise each head's queries and keys")
    bias: bool = Field(False, description="biases in attention, MLP and LayerNorm")
    head_bias: bool = Field(False, description="a bias in the output head")
    tied_embeddings: bool = Field(False, description="the output head is the embedding matrix")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations set to zero in training")
    causal: bool = Field(True, description="a position sees only itself and the past")
    init: Literal["torch", "scaled"] = Field("scaled", description="how weights begin: see model/init.py")

    @property
    def is_gated(self) -> bool:
        """True if the hidden units of the MLP are multiplied by a second view of the input, `gate_proj`."""
        return self.mlp == "swiglu"

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        d_model, n_heads, turned = self.d_model, self.n_heads, self.positions == "rotary"
        if d_model % n_heads and "d_head" not in self.model_fields_set:
            raise _unfitting(f"d_model ({d_model}) must be a multiple of n_heads ({n_heads})",
                             _heads(d_model, n_heads, turned), _width(d_model, n_heads, turned))
        if n_heads % self.n_kv_heads:
            raise _unfitting(f"n_heads ({n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})",
                             f"n_kv_heads {_divisor(n_heads, self.n_kv_heads)}")
        if turned and self.d_head % 2 and "d_head" in self.model_fields_set:
            raise _unfitting(f"rotary positions turn pairs, so d_head ({self.d_head}) must be even",
                             f"d_head {self.d_head + 1}", "positions learned")
        if turned and self.d_head % 2:
            raise _unfitting(f"rotary positions turn pairs, so d_head ({self.d_head}), which is d_model / n_heads, "
                             "must be even", _width(d_model, n_heads, turned), "positions learned")
        if self.tied_embeddings and self.head_bias:
            raise _unfitting("tied_embeddings leaves no room for head_bias: choose one", "head_bias false",
                             "tied_embeddings false")
        return self

    @classmethod
    def preset(cls, name: str, **values: Any) -> ModelConfig:
        """The shape of a preset, with other values on top.

        Args:
            name: "tinylm", "notebook", "gpt2", "llama" or "qwen3".
            values: fields of ModelConfig; at least `vocab_size`.

        Raises:
            TinyLMError: an unknown preset or setting.

        >>> ModelConfig.preset("notebook", vocab_size=12).positions
        'none'
        """
        return cls(**{**preset(name).get("model", {}), **values})


def _unfitting(what: str, *ways: str) -> TinyLMError:
    ways = tuple(filter(None, ways))
    return TinyLMError(what, where="model", remedy=f"For example {', or '.join(ways)}" if ways else "")


def _divisor(number: int, wanted: int, also: int = 1) -> int:
    """The greatest divisor of `number / also` that is at most `wanted`."""
    return next(each for each in range(min(wanted, MAX_SUGGESTED_HEADS), 0, -1) if number % (each * also) == 0)


def _heads(d_model: int, n_heads: int, turned: bool) -> str:
    """The words for a number of heads that divides the width; rotary positions need an even d_head."""
    return "" if turned and d_model % 2 else f"n_heads {_divisor(d_model, n_heads, 2 if turned else 1)}"


def _width(d_model: int, n_heads: int, turned: bool) -> str:
    """The words for the smallest width from `d_model` on that suits the heads."""
    step = n_heads * (2 if turned else 1)
    width = -(-d_model // step) * step
    return f"d_model {width}" if width <= MAX_INT32 else ""


def _share_or_path(validation: float | str) -> float | str:
    if isinstance(validation, str) and validation:
        return 0.0 if validation.casefold() == "none" else validation
    if isinstance(validation, str) or not 0 <= validation < 1:
        raise ValueError("no share")
    return validation


class DataConfig(Section):
    """The settings that turn a text into rows of ids: its source, format, tokenizer, held-out part and packing. All
    fields have defaults. `source` and the fingerprints follow from the text, and are filled in by a run.

    Raises:
        TinyLMError: an unknown setting, or a value that a field cannot hold.

    >>> DataConfig(tokenizer="BPE", validation="5%").validation
    0.05
    """

    source: str = Field("", description="what was trained on: a path, or the name of a built-in corpus")
    fingerprint: str = Field("", description="sha256 of its documents, so that a changed text is noticed")
    documents: Literal["auto", "text", "line", "jsonl", "json", "csv"] = Field(
        "auto", description="what one document is: a whole file, a line, a record of JSON lines or a JSON array, or a "
                            "row of a table; auto: by the file's name and content")
    text_field: str = Field("text", description="the field of a record that holds the text: a name, a dotted path "
                                                "(data.text), or several with commas")
    skip_bad: bool = Field(False, description="pass over bad records and count them, rather than stop at the first")
    formats: Literal["extract", "keep"] = Field(
        "extract", description="HTML, EPUB, subtitles, chats, tables and the like: their text, or all as it stands")
    encoding: str = Field("auto", description="of files that are not UTF-8 and have no byte order mark; auto: none")
    line_ends: Literal["normalize", "keep"] = Field(
        "normalize", description="CRLF of Windows and CR of old Macs: read as \\n, or kept")
    tokenizer: Literal["auto", "word", "char", "bpe", "imported"] = Field(
        "auto", description="tokens are words, characters, or byte-level BPE; auto: by the size of the text; imported: "
                            "another program's, with an imported model")
    vocab_size: int | None = Field(
        None, ge=1, le=MAX_INT32, description="most entries of a trained vocabulary; none: no limit")
    unknown_token: bool = Field(True, description="word tokenizer: unknown words become <unk> instead of an error")
    validation: Annotated[float | str, AfterValidator(_share_or_path), ExpectedValues(
        "a share of 0 (nothing is held out) or more and below 1, or a path")] = Field(
        0.1, description="share of the text held out at its end, or another file")
    validation_fingerprint: str = Field("", description="sha256 of that file's documents, likewise")
    packing: Literal["windows", "packed", "padded"] = Field(
        "windows", description="flowing text cut in windows; whole documents packed in a row; one document a row")
    chat_format: str = Field("", description="how the turns of a conversation are written; empty: the model writes on "
                                             "from a text, and does not answer")
    format: str = Field("auto", description="kind of a chat file, such as messages, pairs or whatsapp; auto: by its "
                                            "content")
    me: str = Field("", description="whose messages in an exported chat are the answers that are learned")
    text: str = Field("", description="a text that is read beside conversations, to learn its language")
    text_fingerprint: str = Field("", description="sha256 of its documents, likewise")


class TrainConfig(Section):
    """The settings of the optimization: length, batches, optimizer, learning rates, seed and device. Exactly one of
    `steps` (updates), `epochs` (passes over the text) and `minutes` must be given: the horizon of the schedule.

    Raises:
        TinyLMError: no horizon or several, an unknown setting, or a value that a field cannot hold.

    >>> TrainConfig(steps="1_000", optimizer="adamw").learning_rate
    0.005
    """

    steps: int | None = Field(None, ge=1, le=MAX_INT32, description="updates of the weights")
    epochs: float | None = Field(None, gt=0, le=MAX_INT32, description="passes over the training text")
    minutes: float | None = Field(None, gt=0, le=MAX_MINUTES, description="of the whole run, start-up included")
    max_epochs: float | None = Field(
        None, gt=0, le=MAX_INT32, description="a run of minutes ends after so many, if they come first")
    target_loss: float | None = Field(None, description="stop early once the validation loss is at most this")
    batch_size: int = Field(32, ge=1, le=MAX_INT32, description="sequences in a batch")
    gradient_accumulation: int = Field(
        1, ge=1, le=MAX_INT32, description="batches whose gradients are added up in one step")
    shards: int | None = Field(
        None, ge=1, le=1024, description="parts of a batch whose gradients are summed in one order, so that neither "
                                         "threads nor processes change a digit; none: one a core; under torchrun: 8")
    optimizer: Literal["adam", "adamw", "muon"] = Field(
        "muon", description="muon: for the matrices inside the layers, with adamw for all else")
    learning_rate: float = Field(default_factory=lambda values: 0.01 if values.get("optimizer") == "muon" else 0.005,
                                 gt=0, le=1e37, description="under muon: of embeddings, head, norms and biases")
    muon_learning_rate: float = Field(
        0.02, gt=0, le=1e37, description="for the matrices inside the layers, under muon")
    beta1: float = Field(0.9, ge=0, lt=1, description="of Adam: decay of the mean gradient")
    beta2: float = Field(0.99, ge=0, lt=1, description="of Adam: decay of the mean squared gradient")
    weight_decay: float = Field(
        0.1, ge=0, description="of matrices and embeddings, decoupled; under adam of all weights, by the gradient")
    warmup_steps: int = Field(100, ge=0, le=MAX_INT32, description="steps until the learning rate is whole")
    decay: Literal["constant", "linear", "cosine"] = Field("linear", description="the schedule after the warm-up")
    final_learning_rate: float = Field(0.0, ge=0, le=1, description="share of the learning rate left at the end")
    grad_clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0: never clipped")
    loss_on_padding: bool = Field(False, description="count padding as targets, as the notebook does")
    evaluate_every: int | None = Field(
        None, ge=1, le=MAX_INT32, description="steps between validations; none: about 20 in a run")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="decides first weights, order of the text, and dropout")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: CUDA, else MPS, else the CPU")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of matrix products; auto: bfloat16 where the processor multiplies it, float16 on a GPU "
                            "that multiplies only that")

    @model_validator(mode="after")
    def _one_horizon(self) -> Self:
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise TinyLMError(f"give exactly one of steps, epochs, minutes; given: {', '.join(given) or 'none'}",
                              where="train", remedy="Leave out all but one" if given else "For example steps 1000")
        return self


class SampleConfig(SampleSettings, Section):
    """The settings of sampling: length, filters, penalties, beams and seed. `SampleSettings` holds the
    fields. All fields have defaults; `tinylm generate --help` describes each.

    Raises:
        TinyLMError: an unknown setting, or a value that a field cannot hold.

    >>> SampleConfig(temperature=0).is_greedy, SampleConfig(stop="\\n").stop
    (True, ('\\n',))
    """

    if TYPE_CHECKING:  # the fields come from a class that is no model, where type checkers do not look for them
        def __init__(self, **values: Any) -> None: ...

    @property
    def is_greedy(self) -> bool:
        """True if the likeliest id is chosen always: asked for, or by a temperature of 0."""
        return self.greedy or self.temperature == 0


def _folder_or_none(folder: str) -> str:
    return "" if folder.casefold() == "none" else folder


class BaseConfig(Section):
    """The settings of fine-tuning: the model that a run goes on from, its base. All fields have defaults, by which a
    run begins from nothing. `fingerprint` follows from the base, and is filled in by a run.

    Raises:
        TinyLMError: an unknown setting, or a value that a field cannot hold.

    >>> BaseConfig(folder="runs/book", replay="20%").replay
    0.2
    """

    folder: Annotated[str, AfterValidator(_folder_or_none)] = Field(
        "", description="the model folder whose weights a run begins with; none: they are drawn from the seed")
    fingerprint: str = Field("", description="sha256 of these weights")
    replay: float = Field(0.0, ge=0, lt=1, description="share of the rows that is the base's own text")
    lora: int = Field(0, ge=0, le=MAX_INT32,
                      description="rank of the low-rank additions that alone are trained; 0: all weights are")


class RunConfig(Section):
    """The settings of a whole run, as `config.json` in a model folder holds them.

    Raises:
        TinyLMError: as its sections.

    >>> import json
    >>> run = RunConfig(model=ModelConfig(vocab_size=12), data=DataConfig(), train=TrainConfig(steps=10))
    >>> run == RunConfig.from_dict(json.loads(run.to_json()))
    True
    >>> print(run.command())
    tinylm train SOURCE --tokenizer auto --steps 10
    """

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    sample: SampleConfig = SampleConfig()
    base: BaseConfig = BaseConfig()

    @model_serializer(mode="wrap")
    def _without_no_base(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The sections; a run from nothing has none on its base."""
        values: dict[str, Any] = dump(self)
        return values if self.base.folder else {name: each for name, each in values.items() if name != "base"}

    def to_json(self) -> str:
        """The config as JSON. It is pure ASCII, since the path of a text may hold bytes that are not UTF-8."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def command(self, out: Path | None = None) -> str:
        """The command line that makes this run again, whatever a later tinylm or another machine would choose.

        Args:
            out: the folder of the new model; default: the one that a run on this text chooses by itself.
        """
        from tinylm.config.repeat import repeat_command  # which imports the sections

        return repeat_command(self, out)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """The config of values by section, such as `json.loads` of a config.json.

        Raises:
            TinyLMError: naming the section and field that does not fit.
        """
        sections = {}
        for name, settings in values.items():
            section = SECTIONS[known_section(name)]
            if not isinstance(settings, Mapping):
                raise TinyLMError("must be a section of settings", where=name)
            sections[name] = section(**settings)
        return cls(**sections)


SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig, "data": DataConfig, "train": TrainConfig, "sample": SampleConfig, "base": BaseConfig,
}


def known_section(name: str) -> str:
    """The name, if it is that of a section. Raises: TinyLMError: it is not."""
    if name not in SECTIONS:
        raise TinyLMError("there is no such section", where=str(name), remedy=did_you_mean(str(name), SECTIONS))
    return name


FOLLOWS_FROM_TEXT = {"model.vocab_size": "For the size of the vocabulary there is --vocab-size",
                     "data.source": "Name the text as SOURCE", "data.fingerprint": "Name the text as SOURCE",
                     "data.text_fingerprint": "Name that text with --text",
                     "data.validation_fingerprint": "Name the text to validate on with --validation",
                     "base.fingerprint": "Name the base with --from"}
"""Settings that nobody chooses, and the remedy for a person who tries."""
