"""The machine under a program: files, memory, signals, paths, standard streams, and untrusted input."""
