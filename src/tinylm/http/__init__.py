"""Plain HTTP for the servers of this package: access, bodies, connections, responses, limits, errors, the log."""
