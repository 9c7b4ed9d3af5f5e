"""Every choice that makes a model, in four frozen sections: model, data, train, sample.

A config holds only what was chosen; what follows from it (`d_head`, the number of parameters, ...) is a property or a
function elsewhere. An unknown key, a wrong type or sizes that do not fit together raise `TinyLMError` naming the field.
Presets and sizes are tables at the end of this file: plain partial configs, which a person's own choices override.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tinylm.config.section import Section
from tinylm.config.spelling import ExpectedValues, match_name
from tinylm.errors import TinyLMError, command, did_you_mean
from tinylm.system.paths import IN_MEMORY

PartialConfig = Mapping[str, Mapping[str, Any]]
"""Chosen values by section and field, e.g. {"train": {"learning_rate": 1e-3}}."""

MAX_INT32, MAX_SEED = 2**31 - 1, 2**63 - 1
"""Of any size of a model, and of any seed: what the libraries below can count."""
MAX_MINUTES = 1e7
"""Minutes of a run: 19 years."""

MAX_SUGGESTED_HEADS = 1024
"""That a remedy suggests."""
WeightDtype = Literal["fp32", "bf16", "int8"]
"""How the compiled engine keeps the matrices of a model that it writes with: as numbers of 32 bits, of 16, or of 8 with
a scale for each output."""


def default_d_mlp(mlp: str, d_model: int) -> int:
    """4 d_model; 8/3 d_model for a gated MLP, whose third matrix then costs what the wider two would
    (Shazeer 2020, arXiv 2002.05202), rounded up to a multiple of 32."""
    return -(-8 * d_model // (3 * 32)) * 32 if mlp == "swiglu" else 4 * d_model


class ModelConfig(Section):
    """The shape of a transformer. Required: `vocab_size`; the defaults are the shape of Qwen3, at the size 0.8M."""

    vocab_size: int = Field(ge=1, le=MAX_INT32)
    context_length: int = Field(256, ge=1, le=MAX_INT32, description="the longest sequence it is trained on, in tokens")
    d_model: int = Field(128, ge=1, le=MAX_INT32, description="width of the residual stream")
    n_layers: int = Field(4, ge=0, le=1000)
    n_heads: int = Field(4, ge=1, le=MAX_INT32)
    n_kv_heads: int = Field(default_factory=lambda chosen: chosen.get("n_heads", 1), ge=1, le=MAX_INT32,
                            description="key/value heads; fewer than n_heads is grouped-query attention")
    d_head: int = Field(default_factory=lambda chosen: chosen.get("d_model", 1) // chosen.get("n_heads", 1),
                        ge=1, le=MAX_INT32, description="width of one head; default: d_model / n_heads")
    mlp: Literal["relu", "gelu", "squared_relu", "swiglu"] = "swiglu"
    d_mlp: int = Field(default_factory=lambda chosen: default_d_mlp(chosen.get("mlp", ""), chosen.get("d_model", 1)),
                       ge=1, le=MAX_INT32, description="width of the MLP's hidden layer")
    norm: Literal["layernorm", "rmsnorm"] = "rmsnorm"
    norm_position: Literal["pre", "post"] = "pre"
    norm_eps: float = Field(1e-6, gt=0, le=1)
    positions: Literal["none", "learned", "rotary"] = "rotary"
    rope_theta: float = Field(10_000.0, gt=0, description="base of the rotary wavelengths")
    qk_norm: bool = Field(True, description="normalise each head's queries and keys")
    bias: bool = Field(False, description="biases in attention, MLP and LayerNorm")
    head_bias: bool = Field(False, description="a bias in the output head")
    tied_embeddings: bool = Field(False, description="the output head is the embedding matrix")
    dropout: float = Field(0.0, ge=0, lt=1)
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
        """A named shape with your own values on top, e.g. `ModelConfig.preset("notebook", vocab_size=12)`.

        Raises:
            TinyLMError: unknown preset or setting.
        """
        return cls(**{**preset(name).get("model", {}), **values})


def _unfitting(what: str, *ways: str) -> TinyLMError:
    ways = tuple(filter(None, ways))
    return TinyLMError(what, where="model", remedy=f"For example {', or '.join(ways)}" if ways else "")


def _divisor(number: int, wanted: int, also: int = 1) -> int:
    """The greatest divisor of `number / also` that is at most `wanted`."""
    return next(each for each in range(min(wanted, MAX_SUGGESTED_HEADS), 0, -1) if number % (each * also) == 0)


def _heads(d_model: int, n_heads: int, turned: bool) -> str:
    """A number of heads that suits the width; rotary positions need an even d_head."""
    return "" if turned and d_model % 2 else f"n_heads {_divisor(d_model, n_heads, 2 if turned else 1)}"


def _width(d_model: int, n_heads: int, turned: bool) -> str:
    """The least width from `d_model` on that suits the heads."""
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
    """How a text becomes rows of ids."""

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
    tokenizer: Literal["auto", "word", "char", "bpe"] = "auto"
    vocab_size: int | None = Field(
        None, ge=1, le=MAX_INT32, description="most entries of a trained vocabulary; none: no limit")
    unknown_token: bool = Field(True, description="word tokenizer: unknown words become <unk> instead of an error")
    validation: Annotated[float | str, AfterValidator(_share_or_path), ExpectedValues(
        "a share of 0 (nothing is held out) or more and below 1, or a path")] = Field(
        0.1, description="share of the text held out at its end, or another file")
    validation_fingerprint: str = Field("", description="sha256 of that file's documents, likewise")
    packing: Literal["windows", "packed", "padded"] = Field(
        "windows", description="flowing text cut in windows; whole documents packed in a row; one document a row")


class TrainConfig(Section):
    """How the loss goes down. Exactly one of `steps`, `epochs`, `minutes` fixes the horizon of the schedule."""

    steps: int | None = Field(None, ge=1, le=MAX_INT32)
    epochs: float | None = Field(None, gt=0, le=MAX_INT32)
    minutes: float | None = Field(None, gt=0, le=MAX_MINUTES)
    max_epochs: float | None = Field(
        None, gt=0, le=MAX_INT32, description="a run of minutes ends after so many, if they come first")
    target_loss: float | None = Field(None, description="stop early once the validation loss is at most this")
    batch_size: int = Field(32, ge=1, le=MAX_INT32, description="sequences in a batch")
    gradient_accumulation: int = Field(
        1, ge=1, le=MAX_INT32, description="batches whose gradients are added up in one step")
    optimizer: Literal["adam", "adamw", "muon"] = "muon"
    learning_rate: float = Field(default_factory=lambda chosen: 0.01 if chosen.get("optimizer") == "muon" else 0.005,
                                 gt=0, le=1e37, description="under muon: of embeddings, head, norms and biases")
    muon_learning_rate: float = Field(
        0.02, gt=0, le=1e37, description="for the matrices inside the layers, under muon")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.99, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0)
    warmup_steps: int = Field(100, ge=0, le=MAX_INT32)
    decay: Literal["constant", "linear", "cosine"] = "linear"
    final_learning_rate: float = Field(0.0, ge=0, le=1, description="share of the learning rate left at the end")
    grad_clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0: never clipped")
    loss_on_padding: bool = Field(False, description="count padding as targets, as the notebook does")
    evaluate_every: int | None = Field(
        None, ge=1, le=MAX_INT32, description="steps between validations; none: about 20 in a run")
    seed: int = Field(0, ge=0, le=MAX_SEED)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of matrix products; auto: bfloat16 where the processor multiplies it")

    @model_validator(mode="after")
    def _one_horizon(self) -> Self:
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise TinyLMError(f"give exactly one of steps, epochs, minutes; given: {', '.join(given) or 'none'}",
                              where="train", remedy="Leave out all but one" if given else "For example steps 1000")
        return self


class SampleConfig(Section):
    """How the next id is chosen. The filters apply in the order of the fields (sampling/filters.py)."""

    max_tokens: int = Field(100, ge=0, le=MAX_INT32)
    min_tokens: int = Field(0, ge=0, le=MAX_INT32, description="<eos> is not chosen before so many")
    overflow: Literal["slide", "error"] = Field(
        "slide", description="when a text outgrows the context: forget its front; or refuse the prompt, end the text")
    prefix: tuple[str, ...] = Field((), description="what the text has to begin with: texts, or single tokens as #id")
    greedy: bool = False
    banned_tokens: tuple[str, ...] = Field((), description="tokens that are never chosen, as their text or as #id")
    logit_bias: dict[str, Annotated[float, Field(ge=-1e6, le=1e6)]] = Field(
        {}, description="numbers added to the logits of tokens, by text or #id")
    repetition_penalty: float = Field(1.0, gt=0, description="of all that occurred: logits divided by it; 1: none")
    frequency_penalty: float = Field(0.0, description="taken off a logit for each time that its token occurred")
    presence_penalty: float = Field(0.0, description="taken off a logit whose token occurred at all")
    temperature: float = Field(0.8, ge=0, description="0: always the likeliest, as greedy")
    top_k: int = Field(0, ge=0, le=MAX_INT32, description="0: all")
    top_p: float = Field(1.0, gt=0, le=1)
    min_p: float = Field(0.0, ge=0, lt=1)
    typical_p: float = Field(1.0, gt=0, le=1)
    beams: int = Field(1, ge=1, le=1000, description="above 1: beam search for the likeliest text, without any chance")
    length_penalty: float = Field(
        1.0, ge=-50, le=50, description="of beams: a sum of log-probabilities is divided by length to this")
    early_stopping: bool | Literal["never"] = Field(
        False, description="of beams: end with the first texts; with the heuristic; only if none could be better")
    stop: Annotated[tuple[str, ...], AfterValidator(lambda texts: tuple(filter(None, texts)))] = Field(
        (), description="texts that end the generation and are left out of it; empty ones end nothing")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="none: another one each time")

    @property
    def is_greedy(self) -> bool:
        """True if the likeliest id is chosen always: asked for, or by a temperature of 0."""
        return self.greedy or self.temperature == 0


class RunConfig(Section):
    """All of a run: what `config.json` in a model folder holds."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    sample: SampleConfig = SampleConfig()

    def to_json(self) -> str:
        """JSON in ASCII alone: the path of a text may hold bytes that are no UTF-8."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def command(self, out: Path | None = None) -> str:
        """The command line that makes this run again, whatever a later tinylm or another machine would choose.

        Args:
            out: where the other model goes; default: where a run on this text goes by itself.
        """
        flags = {"tokenizer": "data", "vocab_size": "data", "steps": "train", "epochs": "train", "minutes": "train",
                 "seed": "train"}
        source = "SOURCE" if self.data.source in ("", IN_MEMORY) else self.data.source
        words: list[object] = [source if source == "-" else Path(source), *(("--out", out) if out else ())]
        for name, home in flags.items():
            value = getattr(getattr(self, home), name)
            if value is not None and (name, value) != ("seed", 0):
                words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else value]
        for name, section in SECTIONS.items():
            for field, value in _chosen(section, getattr(self, name)).items():
                if field not in flags and f"{name}.{field}" not in FOLLOWS_FROM_TEXT:
                    words += ["--set", f"{name}.{field}={_as_setting(value)}"]
        return command("train", *words) + (" < TEXT" if source == "-" else "")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Raises: TinyLMError naming the section and field that does not fit."""
        sections = {}
        for name, chosen in values.items():
            section = SECTIONS[known_section(name)]
            if not isinstance(chosen, Mapping):
                raise TinyLMError("must be a section of settings", where=name)
            sections[name] = section(**chosen)
        return cls(**sections)


SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig, "data": DataConfig, "train": TrainConfig, "sample": SampleConfig,
}


def _chosen(kind: type[Section], section: Section) -> dict[str, Any]:
    """The fields that are not as they would be if nobody had chosen them, given the ones before."""
    chosen: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        value = getattr(section, name)
        default = field.get_default(call_default_factory=True, validated_data=chosen | _defaults(kind, chosen))
        if field.is_required() or value != default:
            chosen[name] = value
    return chosen


def _defaults(kind: type[Section], chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: field.default for name, field in kind.model_fields.items()
            if name not in chosen and not field.is_required() and field.default_factory is None}


def _as_setting(value: Any) -> str:
    """The value as choices.py reads it: JSON where it is that, else text."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except json.JSONDecodeError:
        return value
    return json.dumps(value)


def known_section(name: str) -> str:
    if name not in SECTIONS:
        raise TinyLMError("there is no such section", where=str(name), remedy=did_you_mean(str(name), SECTIONS))
    return name


FOLLOWS_FROM_TEXT = {"model.vocab_size": "For the size of the vocabulary there is --vocab-size",
                     "data.source": "Name the text as SOURCE", "data.fingerprint": "Name the text as SOURCE",
                     "data.validation_fingerprint": "Name the text to validate on with --validation"}


def preset(name: str) -> PartialConfig:
    """The partial config of a preset. Raises TinyLMError for an unknown name."""
    known = match_name(str(name), PRESETS)
    if known is None:
        raise TinyLMError(f"there is no preset {name!r}", remedy=did_you_mean(str(name), PRESETS))
    return PRESETS[known]


def size(name: str) -> PartialConfig:
    """The partial config of a size. Raises TinyLMError for an unknown name."""
    known = match_name(str(name), SIZES)
    if known is None:
        raise TinyLMError(f"there is no size {name!r}", remedy=did_you_mean(str(name), SIZES))
    n_layers, d_model, n_heads = SIZES[known]
    return {"model": {"n_layers": n_layers, "d_model": d_model, "n_heads": n_heads}}


PRESETS: dict[str, PartialConfig] = {
    # The default: Qwen3's shape, which Hugging Face and llama.cpp hold exactly.
    "tinylm": {},
    # The teaching notebook, corners included: no positions, padding counted in the loss, no unknown words.
    "notebook": {
        "model": {"context_length": 64, "d_model": 32, "n_layers": 2, "n_heads": 2, "mlp": "relu", "d_mlp": 64,
                  "norm": "layernorm", "norm_position": "post", "norm_eps": 1e-5, "positions": "none",
                  "qk_norm": False, "bias": True, "head_bias": True, "dropout": 0.1, "init": "torch"},
        "data": {"documents": "line", "tokenizer": "word", "unknown_token": False, "validation": 0.0,
                 "packing": "padded"},
        "train": {"epochs": 200, "batch_size": "full", "optimizer": "adam", "learning_rate": 1e-3, "beta2": 0.999,
                  "weight_decay": 0.0, "warmup_steps": 0, "decay": "constant", "grad_clip": 0.0,
                  "loss_on_padding": True},
        "sample": {"greedy": True, "max_tokens": 15},
    },
    "gpt2": {
        "model": {"mlp": "gelu", "norm": "layernorm", "norm_eps": 1e-5, "positions": "learned", "qk_norm": False,
                  "bias": True, "tied_embeddings": True},
    },
    "llama": {"model": {"qk_norm": False, "norm_eps": 1e-5}},
    "qwen3": {"model": {"rope_theta": 1_000_000.0, "tied_embeddings": True}},
}

SIZES: dict[str, tuple[int, int, int]] = {
    # name: n_layers, d_model, n_heads. The name counts the weights inside the layers (12 n_layers d_model^2),
    # which is what the time of a step follows; embedding and head come on top.
    "0.1M": (2, 64, 2),
    "0.3M": (3, 96, 3),
    "0.8M": (4, 128, 4),
    "2M": (4, 192, 6),
    "5M": (6, 256, 4),
    "10M": (6, 384, 6),
    "25M": (8, 512, 8),
    "50M": (12, 576, 9),
    "85M": (12, 768, 12),
    "125M": (18, 768, 12),
}
