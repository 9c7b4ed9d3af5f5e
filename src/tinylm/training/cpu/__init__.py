"""The fast path of training on a CPU: forward and backward written out by hand. It computes what autograd does with
model/transformer.py, which stays the reference (tests/training/test_fast.py holds the two together)."""
