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
