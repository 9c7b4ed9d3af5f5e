"""Foreign configs: the config.json of a Hugging Face folder as a `ModelConfig`, or an error that names the field in the
way.

Each field of a config is either read here, known to change no logit, or refused: a field that nobody here knows may
change what the model computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.names import Architecture
from tinylm.system.untrusted import quoted

Fields = Mapping[str, Any]

_UNGATED = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu", "relu2": "squared_relu"}
_GATED = {"silu": "swiglu", "swish": "swiglu"}
_LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3", "arcee")
_INERT = frozenset({
    "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache", "vocab_size",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "unk_token_id", "cls_token_id",
    "decoder_start_token_id", "initializer_range", "init_std", "attention_dropout", "resid_pdrop", "embd_pdrop",
    "attn_pdrop", "residual_dropout", "embedding_dropout", "resid_dropout", "embed_dropout", "dropout", "layerdrop",
    "activation_dropout", "classifier_dropout", "hidden_dropout", "summary_type", "summary_use_proj",
    "summary_activation", "summary_proj_to_labels", "summary_first_dropout", "reorder_and_upcast_attn",
    "output_hidden_states", "output_attentions", "return_dict", "problem_type", "id2label", "label2id",
    "_name_or_path", "name_or_path", "task_specific_params", "gradient_checkpointing", "n_ctx", "attention_layers",
    "attn_implementation", "_attn_implementation", "transformers.js_config", "chunk_size_feed_forward",
    "is_decoder", "forced_eos_token_id", "is_llama_config", "tokenizer_class", "finetuning_task",
    "attention_softmax_in_fp32", "max_window_layers", "rope_scaling", "rope_theta", "rope_parameters",
    "tie_word_embeddings", "sliding_window", "use_sliding_window", "layer_types",
})
"""Fields that change no logit; and those that `_rope`, `_context` and `_shape` read for every architecture."""


@dataclass(frozen=True)
class ForeignConfig:
    """The shape of a foreign model.

    Attributes:
        architecture: its kind.
        model: the shape.
        scales_queries: True if its attention does not divide scores by the root of d_head: the queries then have to be
            multiplied by the root.
        notes: sentences for people.
    """

    architecture: Architecture
    model: ModelConfig
    scales_queries: bool
    notes: list[str]


class _Reader:
    """Fields of a config, each asked for by its name; in the end those that nobody asked for."""

    def __init__(self, fields: Fields, where: str) -> None:
        self.fields, self.where, self.read = fields, where, set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        found = self.fields.get(name)
        return default if found is None else found

    def size(self, name: str, default: int | None = None) -> int:
        found = self.get(name, default)
        if type(found) is not int or not 1 <= found < 1 << 31:
            raise self.refused(name, found)
        return found

    def must_be(self, name: str, *values: Any) -> None:
        """Refuses any other value; the first is the default."""
        if self.get(name, values[0]) not in values:
            raise self.refused(name, self.fields[name])

    def refused(self, name: str, value: Any) -> TinyLMError:
        return TinyLMError(f"{name} is {quoted(value)}, and tinylm does not compute that", where=self.where,
                           remedy="Such a model cannot be imported exactly")

    def check_all_read(self) -> None:
        for name, value in self.fields.items():
            if name not in self.read and name not in _INERT and value not in (None, False, {}, []):
                raise TinyLMError(f"has the field {quoted(name)} ({quoted(value)}), which may change what the model "
                                  "computes, and tinylm does not know it", where=self.where,
                                  remedy="Such a model cannot be imported exactly")


def read_foreign_config(fields: Any, where: str = "config.json") -> ForeignConfig:
    """The shape that a Hugging Face config tells.

    Args:
        fields: the content of config.json.
        where: its name in errors.

    Raises:
        TinyLMError: a type of model, a field or a value that tinylm cannot hold exactly.

    >>> read_foreign_config({"model_type": "gpt2", "vocab_size": 50, "n_embd": 8, "n_layer": 1, "n_head": 2,
    ...                      "n_positions": 16, "n_inner": None}).model.positions
    'learned'
    """
    if not isinstance(fields, dict):
        raise TinyLMError("is not the config of a model", where=where)
    known: tuple[Architecture, ...] = get_args(Architecture)
    kind = next((name for name in known if name == fields.get("model_type")), None)
    if kind is None:
        raise TinyLMError(f"is of a model of type {quoted(fields.get('model_type'))}", where=where,
                          remedy=f"Types that tinylm imports: {', '.join(known)}")
    reader = _Reader(fields, where)
    read = _llama if kind in _LLAMA_LIKE else {"gpt2": _gpt2, "opt": _opt, "gpt_neo": _gpt_neo,
                                               "starcoder2": _starcoder2}[kind]
    try:
        values, notes = read(reader, kind)
        values["tied_embeddings"] = bool(reader.get("tie_word_embeddings", kind not in _LLAMA_LIKE))
        reader.check_all_read()
        model = ModelConfig(vocab_size=reader.size("vocab_size"), **values)
    except TinyLMError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise TinyLMError(f"is damaged ({quoted(error)})", where=where) from None
    return ForeignConfig(kind, model, kind == "gpt_neo", notes)


# ---- architectures


def _llama(reader: _Reader, kind: str) -> tuple[dict[str, Any], list[str]]:
    heads, width = reader.size("num_attention_heads", 32), reader.size("hidden_size")
    reader.must_be("pretraining_tp", 1)
    biases = [kind == "qwen2", *(reader.get(name, False) is not False for name in ("attention_bias", "mlp_bias"))]
    context, notes = _context(reader, "sliding_window" if kind == "mistral" or reader.get("use_sliding_window") else "",
                              reader.get("sliding_window", None))
    act = reader.get("hidden_act", "relu2" if kind == "arcee" else "silu")
    return {
        **_attention(reader, heads, width, 128 if kind == "qwen3" else None, 8 if kind == "mistral" else heads),
        "n_layers": reader.size("num_hidden_layers"), "d_mlp": reader.size("intermediate_size"),
        "mlp": _activation(reader, "hidden_act", act, _UNGATED if kind == "arcee" else _GATED),
        "norm_eps": reader.get("rms_norm_eps", 1e-5 if kind == "arcee" else 1e-6), "qk_norm": kind == "qwen3",
        "bias": any(biases), "context_length": context,
        "rope_theta": _rope(reader)}, notes


def _starcoder2(reader: _Reader, kind: str) -> tuple[dict[str, Any], list[str]]:  # noqa: ARG001
    heads, width = reader.size("num_attention_heads"), reader.size("hidden_size")
    reader.get("use_bias")  # its norms have biases in any case; the others are zeros then
    context, notes = _context(reader, "sliding_window", reader.get("sliding_window"))
    act = reader.get("hidden_act", "gelu_pytorch_tanh")
    return {
        **_attention(reader, heads, width, None, 2), "norm": "layernorm", "qk_norm": False, "bias": True,
        "n_layers": reader.size("num_hidden_layers"), "d_mlp": reader.size("intermediate_size"),
        "mlp": _activation(reader, "hidden_act", act, _UNGATED), "norm_eps": reader.get("norm_epsilon", 1e-5),
        "context_length": context, "rope_theta": _rope(reader)}, notes


_LEARNED: dict[str, Any] = {"norm": "layernorm", "positions": "learned", "qk_norm": False, "bias": True}


def _gpt2(reader: _Reader, kind: str) -> tuple[dict[str, Any], list[str]]:  # noqa: ARG001
    for name, value in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False),
                        ("add_cross_attention", False)):
        reader.must_be(name, value)
    width = reader.size("n_embd")
    act = reader.get("activation_function", "gelu_new")
    return {**_LEARNED, "d_model": width, "n_layers": reader.size("n_layer"), "n_heads": reader.size("n_head"),
            "d_mlp": reader.size("n_inner", 4 * width), "context_length": reader.size("n_positions", 1024),
            "mlp": _activation(reader, "activation_function", act, _UNGATED),
            "norm_eps": reader.get("layer_norm_epsilon", 1e-5)}, []


def _opt(reader: _Reader, kind: str) -> tuple[dict[str, Any], list[str]]:  # noqa: ARG001
    for name, value in (("do_layer_norm_before", True), ("_remove_final_layer_norm", False),
                        ("layer_norm_elementwise_affine", True)):
        reader.must_be(name, value)
    width = reader.size("hidden_size")
    reader.must_be("word_embed_proj_dim", width)
    reader.get("enable_bias")
    act = reader.get("activation_function", "relu")
    return {**_LEARNED, "d_model": width, "n_layers": reader.size("num_hidden_layers"),
            "n_heads": reader.size("num_attention_heads"), "d_mlp": reader.size("ffn_dim"),
            "context_length": reader.size("max_position_embeddings"), "norm_eps": 1e-5,
            "mlp": _activation(reader, "activation_function", act, _UNGATED)}, []


def _gpt_neo(reader: _Reader, kind: str) -> tuple[dict[str, Any], list[str]]:  # noqa: ARG001
    width = reader.size("hidden_size")
    kinds = {name for names, _ in reader.get("attention_types", [[["global", "local"], 12]]) for name in names}
    if not kinds <= {"global", "local"}:
        raise reader.refused("attention_types", kinds)
    window = reader.size("window_size", 256)
    context, notes = _context(reader, "window_size" if "local" in kinds else "", window)
    act = reader.get("activation_function", "gelu_new")
    return {**_LEARNED, "d_model": width, "n_layers": reader.size("num_layers"), "n_heads": reader.size("num_heads"),
            "d_mlp": reader.size("intermediate_size", 4 * width), "context_length": context,
            "mlp": _activation(reader, "activation_function", act, _UNGATED),
            "norm_eps": reader.get("layer_norm_epsilon", 1e-5)}, notes


# ---- what several architectures have


def _attention(reader: _Reader, heads: int, width: int, head_dim: int | None, kv_heads: int) -> dict[str, Any]:
    d_head = reader.get("head_dim", head_dim)
    if d_head is None and width % heads:
        raise reader.refused("num_attention_heads", heads)
    return {"d_model": width, "n_heads": heads, "n_kv_heads": reader.size("num_key_value_heads", kv_heads),
            "d_head": reader.size("head_dim", head_dim or width // heads)}


def _activation(reader: _Reader, name: str, value: Any, known: Mapping[str, str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise reader.refused(name, value)
    return known[value]


def _rope(reader: _Reader) -> float:
    """The base of the rotary wavelengths; scaled and partial ones are refused."""
    found = {**(reader.get("rope_scaling") or {}), **(reader.get("rope_parameters") or {})}
    reader.must_be("partial_rotary_factor", 1, 1.0)
    if found.get("rope_type", found.get("type", "default")) != "default" or found.get("partial_rotary_factor", 1) != 1:
        raise reader.refused("rope_scaling", found)
    if unknown := found.keys() - {"rope_type", "type", "rope_theta", "partial_rotary_factor"}:
        raise reader.refused("rope_parameters", min(unknown))
    theta: float = found.get("rope_theta", reader.get("rope_theta", 10_000.0))
    return theta


def _context(reader: _Reader, window_name: str, window: Any) -> tuple[int, list[str]]:
    """The longest context in which the model computes what tinylm computes: attention to a window of the latest
    positions is attention to all of them while there are no more."""
    longest = reader.size("max_position_embeddings", 2048)
    layers = set(reader.get("layer_types", ()))
    if not layers <= {"full_attention", "sliding_attention"}:
        raise reader.refused("layer_types", sorted(map(str, layers)))
    if not window_name or window is None:
        if "sliding_attention" in layers:
            raise reader.refused("layer_types", "sliding_attention")
        return longest, []
    context = min(longest, reader.size(window_name))
    return context, [f"Its attention sees {context:,} tokens, so its context is {context:,} tokens here, and not "
                     f"{longest:,}."] if context < longest else []
