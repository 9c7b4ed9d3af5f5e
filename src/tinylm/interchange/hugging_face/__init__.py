"""Hugging Face: a model as a folder that the package transformers opens with classes of its own."""
