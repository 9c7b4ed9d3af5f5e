"""The lesson as HTML: its Markdown, pictures drawn from a real model, and the code that makes them answer."""
