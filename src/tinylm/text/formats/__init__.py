"""Formats that people keep texts in: each recognised by name and content, and either read or refused with the way."""
