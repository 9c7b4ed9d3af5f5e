"""The machine as it is: its parts, and a self-test of each path of computation."""
