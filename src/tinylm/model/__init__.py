"""The transformer: ids -> logits. Start reading at transformer.py."""
