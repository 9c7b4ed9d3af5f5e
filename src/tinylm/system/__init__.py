"""The machine under a program: files, memory, signals, paths, standard streams, and input that nobody vouches for."""
