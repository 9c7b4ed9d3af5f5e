"""The studio: a local page on which a person makes, watches, questions and exports models, without a command line."""
