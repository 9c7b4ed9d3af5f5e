"""Your own small language model, from your own text, on your own machine."""
