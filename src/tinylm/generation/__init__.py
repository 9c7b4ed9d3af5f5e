"""Generation: a request, a batch, a backend. Ids go in, ids come out, and the detokenizer makes text of them."""
