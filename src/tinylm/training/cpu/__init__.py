"""Training on a CPU: forward and backward pass written out by hand. They compute what autograd does with
model/transformer.py, which stays the reference (tests/training/cpu holds the two together)."""
