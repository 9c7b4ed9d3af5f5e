"""Training runs: prepared, compiled for, recorded, resumed, and put together."""
