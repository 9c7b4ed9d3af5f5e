"""Compiling of Python functions to machine code by numba, and where the result is kept."""
