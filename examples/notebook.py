# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A mini-transformer that predicts words
#
# The teaching notebook, retold with tinylm's Python API. Open it in Jupyter with
# [jupytext](https://jupytext.readthedocs.io), or read it as it is: it is plain Python.

# %%
import json
import tempfile
from pathlib import Path

import torch

import tinylm

# %% [markdown]
# ## Four sentences, twelve entries
#
# `hello` is the notebook's corpus; the `notebook` preset is its model, corners included.

# %%
folder = Path(tempfile.mkdtemp()) / "hello"
lm = tinylm.train("hello", preset="notebook", out=folder, quiet=True)
print(lm)

# %% [markdown]
# That was all of it: the model is trained, and lies in a folder. Now step by step. The vocabulary starts with the marks
# `<pad>`, `<bos>`, `<eos>`, and goes on with the words in order of first appearance, so it is the same in every run.

# %%
id2token = {id: lm.tokenizer.token(id) for id in range(lm.tokenizer.vocab_size)}
print(id2token)

# %%
ids = lm.tokenizer.encode("how is your day ?")
ids, lm.tokenizer.tokens(ids), lm.tokenizer.decode(ids)

# %% [markdown]
# A word that is out of vocabulary is an error that says what to do. A sub-word tokenizer never meets one.

# %%
try:
    lm.tokenizer.encode("Hi my name is Ben")
except tinylm.TinyLMError as error:
    print(error)

# %% [markdown]
# ## The model
#
# Ids in, one row of logits for each position out: a score for every entry of the vocabulary.

# %%
untrained = tinylm.TinyLM(tinylm.ModelConfig.preset("notebook", vocab_size=12)).eval()
logits = untrained(torch.tensor([ids]))
print(logits.shape)

# %% [markdown]
# Before training, what it expects after `hello , how are` is noise. After training, it is `you`.

# %%
prompt = lm.tokenizer.encode_prompt("hello , how are")
with torch.no_grad():
    probs = untrained(torch.tensor([prompt]))[0, -1].softmax(-1)
[(id2token[id], round(p, 3)) for p, id in zip(*(top.tolist() for top in probs.topk(5)), strict=True)]

# %%
[(p.token, round(p.probability, 3)) for p in lm.predict("hello , how are")]

# %% [markdown]
# ## The causal mask
#
# Two texts that differ in their last word. With the mask, no logit before that word changes; without it, they do.

# %%
texts = [torch.tensor([lm.tokenizer.encode_prompt(text)]) for text in ("how is your day", "how is your hello")]
open_eyed = tinylm.TinyLM(lm.config.model.model_copy(update={"causal": False})).eval()
open_eyed.load_state_dict(lm.model.state_dict())
with torch.no_grad():
    changes = {name: (model(texts[0]) - model(texts[1]))[0, :-1].abs().max().item()
               for name, model in (("with the mask", lm.model), ("without", open_eyed))}
print(changes)

# %% [markdown]
# The same can be seen inside. `trace` holds every activation by name; this is the attention pattern of the first head:
# each row is a position, and nothing stands above the diagonal.

# %%
activations = lm.trace("how is your day")
print(list(activations)[:8], "...")
activations["layers.0.attn.pattern"][0, 0].round(decimals=2)

# %% [markdown]
# ## Training
#
# `metrics.jsonl` in the folder tells of each of the 200 steps: one batch of all four sentences, Adam at 1e-3, and
# cross-entropy at every position. The preset counts padding in the loss, as the notebook does. Everywhere else tinylm
# leaves padding out: `<pad>` after `<eos>` is easy to predict and makes the loss look better than the model is.

# %%
steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
[(event["step"], round(event["loss"], 3)) for event in steps if event["event"] == "step" and event["step"] % 40 == 0]

# %%
print(lm.evaluate())

# %% [markdown]
# ## What it writes

# %%
for start in ("how you hello", "hello , how are", "hello , how is", "how are", "how is"):
    print(start, "→", lm.generate(start, greedy=True))

# %% [markdown]
# ## The structure, and how many weights
#
# The sum is the notebook's own, and what the module itself holds.

# %%
parameters = lm.inspect()["parameters"]
print(parameters["breakdown"], "=", parameters["total"])
sum(p.numel() for p in lm.model.parameters())

# %%
for part in parameters["parts"][:6]:
    print(f"{part['name']:28} {part['formula']:>12} = {part['count']}")

# %% [markdown]
# The folder is the whole model: load it again, tomorrow or on another machine.

# %%
tinylm.load(folder).generate("hello , how is", greedy=True)
