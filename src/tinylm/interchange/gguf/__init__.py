"""GGUF: one file with a model's settings, tokenizer and tensors, as llama.cpp, Ollama and LM Studio read it."""
