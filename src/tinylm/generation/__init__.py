"""logits -> the next id -> text. Ids in, ids out, until detokenizer.py makes text of them."""
