"""logits -> the next id -> text. Ids in, ids out, until stream.py makes text of them."""
