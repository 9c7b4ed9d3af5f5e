"""The model card of a folder for transformers.js."""

from __future__ import annotations

from collections.abc import Sequence

_FRONT_MATTER = """\
---
library_name: transformers.js
pipeline_tag: text-generation
tags:
- tinylm
- onnx
---
"""

_TITLE = "# A small language model, made by tinylm\n"

_USE = """
## How to use it in transformers.js
In the folder that holds this one, after `npm install @huggingface/transformers`, with the name of this folder and your
prompt between the quotes:

```js
import {{ env, pipeline }} from "@huggingface/transformers";
env.allowRemoteModels = false;
env.localModelPath = "./";
const write = await pipeline("text-generation", "FOLDER");
console.log((await write("PROMPT"))[0].generated_text);
```

ONNX Runtime opens the file in `onnx` by itself. Inputs: `input_ids`, `attention_mask`, `position_ids` (where the model
has positions) and `past_key_values.N.key`, `.value`, of length 0 at the beginning; outputs: `logits` and
`present.N.key`, `.value`.

## What differs from tinylm
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
