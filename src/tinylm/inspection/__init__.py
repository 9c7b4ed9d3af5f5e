"""The inside of a model: its parameters and their costs (structure.py), its activations (trace.py)."""
