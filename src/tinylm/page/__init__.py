"""Pages: the code of browser pages that show a model and run it, as plain ES modules, and what joins them into a file.

`model/transformer.js` is the second reading file: the transformer again, in JavaScript. A module imports others by
`import { names } from "./path.js"` alone, so that `modules.py` can join them without a build step.
"""
