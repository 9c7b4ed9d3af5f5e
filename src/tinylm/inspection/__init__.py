"""The inside of a model: its parameters and their costs (structure.py), its activations (trace.py), and what it
computes on a text, as it is or with changes (explanation.py).
"""
