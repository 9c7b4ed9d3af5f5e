"""Text to ids and back: documents, the tokenizer, the split, and rows of ids. Nothing here imports torch."""
