"""Python compiled for this processor, shared by training/cpu and engine. Nothing here imports torch."""
