"""Diagnostics of a run: doctor, statistics, messages, and where the first number that is not finite is."""
