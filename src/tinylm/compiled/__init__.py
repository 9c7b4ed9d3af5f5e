"""Python compiled for this processor, shared by training/fast and generation/engine. Nothing here imports torch."""
