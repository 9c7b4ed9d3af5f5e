"""Models of other programs: their names for what tinylm has."""
