"""ids -> logits: the transformer itself. Start reading at transformer.py."""
