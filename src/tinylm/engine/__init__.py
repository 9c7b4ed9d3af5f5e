"""The compiled engine: the forward pass for writing text, without torch. The tests tie it to the reading file."""
