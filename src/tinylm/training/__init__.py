"""Training: batches in, a lower loss out. Start reading at loop.py."""
