"""Parts of the model card of a folder for transformers."""

from __future__ import annotations

FRONT_MATTER = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- tinylm
---
"""

USE = """
## How to use it in transformers
In this folder, in Python, with your prompt between the quotes:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained("."), AutoModelForCausalLM.from_pretrained(".")
print(tokenizer.decode(model.generate(**tokenizer("", return_tensors="pt"))[0], skip_special_tokens=True))
```

## What differs from tinylm
Ids are the same, and logits but for rounding. Beyond that:

{notes}
"""
USE_IN_CHATS = USE.replace("""\
print(tokenizer.decode(model.generate(**tokenizer("", return_tensors="pt"))[0], skip_special_tokens=True))
""", """\
asked = tokenizer.apply_chat_template([{{"role": "user", "content": ""}}], add_generation_prompt=True,
                                      return_tensors="pt", return_dict=True)
answer = model.generate(**asked)[0, asked["input_ids"].shape[1]:]
print(tokenizer.decode(answer, skip_special_tokens=True))
""").replace("prompt between", "question between")
