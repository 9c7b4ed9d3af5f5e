"""HTTP without models: access, connections, responses, address, limits, errors, the log."""
