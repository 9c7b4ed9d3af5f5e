"""tinylm demo: placeholder."""
EXAMPLE = "tinylm demo"
