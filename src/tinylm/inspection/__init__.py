"""What a model is made of and what it does: counts and costs (structure.py), activations (trace.py), and what plain
counting achieves on the same text (baselines.py)."""
