"""Inspection of a model: its parameters and costs (structure.py), and the activations of a pass (trace.py)."""
