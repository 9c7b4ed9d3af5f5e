"""The lesson: the teaching notebook, told step by step on the real model."""
