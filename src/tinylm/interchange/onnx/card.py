"""Parts of the model card of a folder for transformers.js."""

from __future__ import annotations

FRONT_MATTER = """\
---
library_name: transformers.js
pipeline_tag: text-generation
tags:
- tinylm
- onnx
---
"""

USE = """
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
