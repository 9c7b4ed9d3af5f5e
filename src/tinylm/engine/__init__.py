"""The compiled engine: forward pass and sampling for writing text, without torch. Tests hold it to the reading file."""
