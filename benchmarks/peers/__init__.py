"""The other side: what people would use without tinylm, each a program of its own that prints one JSON object last."""
