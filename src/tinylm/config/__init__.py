"""Settings of a run: sections, presets, and what a person overrides. Nothing here imports torch."""
