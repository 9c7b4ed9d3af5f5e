"""Evaluation of a model on a text: the report beside baselines, memorization, overlap with the training text."""
