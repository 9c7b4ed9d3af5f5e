"""Import of folders that transformers itself wrote: its logits, its ids, its greedy text; and refusals by name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers

import tinylm
from tinylm.cli import main
from tinylm.errors import TinyLMError
from tinylm.evaluation.report import evaluation_batches
from tinylm.interchange.importing import import_model, read_model
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.rows import IGNORE
from tinylm.text.split import split_corpus

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 128}
GROUPED = {**SIZES, "num_key_value_heads": 2}
NEO = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 48, "max_position_embeddings": 128,
       "attention_types": [[["global", "local"], 1]], "window_size": 40}
FAMILIES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "llama": GROUPED, "llama with biases": {**GROUPED, "attention_bias": True, "mlp_bias": True},
    "llama tied": {**GROUPED, "tie_word_embeddings": True}, "mistral": {**GROUPED, "sliding_window": None},
    "mistral with a window": {**GROUPED, "sliding_window": 40}, "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 16}, "arcee": GROUPED, "starcoder2": GROUPED,
    "starcoder2 without biases": {**GROUPED, "use_bias": False},
    "opt": {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "max_position_embeddings": 128, "word_embed_proj_dim": 32},
    "gpt_neo": NEO,
}
TEXT = ["hello world, it's 12 o'clock there; the cat sat on the mat » é 漢字\n"] * 5


def make_tokenizer():
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer, library.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    library.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>", "<|im_end|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=library, bos_token="<s>", eos_token="</s>",
                                                pad_token="</s>")


def write_folder(folder, family, dtype=torch.float32, **more):
    values = {**FAMILIES[family], "vocab_size": 320, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    kind = family.split(" ", 1)[0]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **values)).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 and "bias" not in name else 0.0, 0.3)
    model.generation_config.eos_token_id = [1, 2]
    model.to(dtype).save_pretrained(folder, **more)
    make_tokenizer().save_pretrained(folder)
    return model.float()


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_greedy_text_are_those_of_transformers(family, tmp_path):
    theirs = write_folder(tmp_path / "hf", family)
    import_model(tmp_path / "hf", tmp_path / "out")
    lm = tinylm.load(tmp_path / "out")
    ids = np.random.default_rng(0).integers(3, 300, lm.config.model.context_length).tolist()
    with torch.no_grad():
        wanted, found = theirs(torch.tensor([ids])).logits, lm.model(torch.tensor([ids]))
    assert lm.config.model.context_length == (40 if family in ("mistral with a window", "gpt_neo") else 128)
    assert (found - wanted).abs().max() < 1e-4
    if lm.config.model.context_length < 128:
        return
    prompt = lm.tokenizer.encode_text("hello there")
    ours = lm.complete(prompt, greedy=True, max_tokens=64).ids
    with torch.no_grad():
        text = theirs.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=64)[0, len(prompt):].tolist()
    assert ours == text


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_shards_and_short_numbers(dtype, tmp_path):
    theirs = write_folder(tmp_path / "hf", "qwen2", dtype, max_shard_size="20KB")
    assert (tmp_path / "hf" / "model.safetensors.index.json").exists()
    weights = read_model(tmp_path / "hf").weights
    assert np.array_equal(weights["layers.1.attn.q_proj.weight"],
                          theirs.model.layers[1].self_attn.q_proj.weight.detach().numpy())


def test_the_commands_work(tmp_path, capsys):
    write_folder(tmp_path / "hf", "llama")
    run, text = str(tmp_path / "out"), tmp_path / "text.txt"
    text.write_text("hello world, the cat sat on the mat and there it sat.\n" * 40)
    assert main(["import", str(tmp_path / "hf"), run]) == 0
    for command in (["generate", run, "hello", "--max-tokens", "5"], ["predict", run, "hello"], ["inspect", run],
                    ["tokenize", run, "hello </s>"], ["evaluate", run, str(text)]):
        assert main(command) == 0, command
    capsys.readouterr()
    assert main(["import", str(tmp_path / "hf"), run]) == 2
    assert main(["import", str(tmp_path / "hf"), run, "--force"]) == 0
    assert main(["evaluate", run]) == 2
    assert main(["train", "--resume", "--out", run]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("family", "changed", "named"), [
    ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 1e4}}, "rope_scaling"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "factor"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"), ("llama", {"hidden_act": "gelu"}, "hidden_act"),
    ("llama", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    ("llama", {"use_parallel_residual": True}, "use_parallel_residual"),
    ("llama", {"pretraining_tp": 2}, "pretraining"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer"), ("gpt2", {"model_type": "gemma"}, "gemma"),
    ("opt", {"do_layer_norm_before": False}, "do_layer_norm_before"), ("llama", {"num_hidden_layers": 3}, "layers.2"),
    ("llama", {"hidden_size": 64}, "shape"), ("llama", {"vocab_size": 10}, "rows"),
    ("llama", {"vocab_size": -1}, "vocab"),
])
def test_what_cannot_be_held_is_named(family, changed, named, tmp_path):
    write_folder(tmp_path / "hf", family)
    path = tmp_path / "hf" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(TinyLMError, match=named):
        import_model(tmp_path / "hf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pickles_are_refused(tmp_path):
    write_folder(tmp_path / "hf", "gpt2")
    shutil.move(tmp_path / "hf" / "model.safetensors", tmp_path / "hf" / "pytorch_model.bin")
    with pytest.raises(TinyLMError, match="pickle"):
        read_model(tmp_path / "hf")


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "model.bin", "a/b.safetensors",
                                  "x" * 300, "\0", "\x7f"])
def test_shards_lie_in_the_folder(name, tmp_path):
    write_folder(tmp_path / "hf", "gpt2")
    (tmp_path / "hf" / "model.safetensors").unlink()
    (tmp_path / "hf" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(TinyLMError, match="not in this folder"):
        read_model(tmp_path / "hf")


@pytest.mark.parametrize("family", ["llama tied", "gpt2"])
def test_fine_tuning_of_an_imported_model_begins_at_the_loss_that_transformers_has(family, tmp_path):
    theirs = write_folder(tmp_path / "hf", family)
    import_model(tmp_path / "hf", tmp_path / "base")
    text = tmp_path / "text.txt"
    text.write_text("".join(TEXT) * 8, encoding="utf-8")
    rates = {"learning_rate": 1e-3, "muon_learning_rate": 2e-3, "evaluate_every": 5, "batch_size": 4}
    lm = tinylm.train(text, base=tmp_path / "base", steps=10, out=tmp_path / "run", quiet=True, config={"train": rates})
    events = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    first, *_, last = [event["loss"] for event in events if event["event"] == "validation"]
    part = build_dataset(split_corpus(open_corpus(text)), lm.tokenizer).validation
    nats = tokens = 0.0
    with torch.no_grad():
        for inputs, targets in evaluation_batches(part, "windows", lm.config.model.context_length):
            logits = theirs(torch.from_numpy(inputs)).logits
            nats += torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten(),
                                                      reduction="sum").item()
            tokens += (targets != IGNORE).sum()
    assert first == pytest.approx(nats / tokens, rel=1e-4)
    assert last < first
    assert lm.tokenizer.kind == lm.config.data.tokenizer == "imported"
    assert lm.evaluate().baselines["base"] > lm.evaluate().bits_per_byte
