"""Formats that people keep texts in: recognised by name and content, and read, or refused with the way to a text."""
