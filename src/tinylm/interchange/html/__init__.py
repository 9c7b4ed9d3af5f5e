"""HTML: one file with a model, its tokenizer and the code that runs it, which any browser opens from the disk."""
