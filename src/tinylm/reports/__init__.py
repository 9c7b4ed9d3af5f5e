"""Reports of a run for people: the terminal, the HTML page, the model card, its history and its plots."""
