"""The model card of a folder for transformers."""

from __future__ import annotations

from collections.abc import Sequence

_FRONT_MATTER = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- tinylm
---
"""

_TITLE = "# A small language model, made by tinylm\n"

_USE = """
## How to use it in transformers
In this folder, in Python, with your prompt between the quotes:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained("."), AutoModelForCausalLM.from_pretrained(".")
print(tokenizer.decode(model.generate(**tokenizer("", return_tensors="pt"))[0], skip_special_tokens=True))
```

## What differs from tinylm
Logits and ids are the same. Beyond that:

{notes}
"""


def make_card(card: str, notes: Sequence[str]) -> str:
    """The card as Markdown, with the front matter that the Hub reads. It names no licence: that is for the owner of the
    text to choose.

    Args:
        card: the card of the model folder; empty where there is none.
        notes: sentences on what is not exact there.
    """
    return (_FRONT_MATTER + (card.rstrip("\n") + "\n" if card.strip() else _TITLE)
            + _USE.format(notes="\n".join(f"- {note}." for note in notes)))
