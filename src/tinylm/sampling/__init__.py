"""Sampling: filters of the logits, and the sampler that applies them and draws the next id."""
