"""White space as GPT-2's pattern means it."""

WHITESPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The inside of a character class: \\s of GPT-2's pattern (Python's \\s has \\x1c-\\x1f besides)."""
