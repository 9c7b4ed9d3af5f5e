"""Logits to the next id: filters, and the sampler that applies them with its own chance."""
