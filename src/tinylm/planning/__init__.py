"""Planning of a run before its first step: defaults, throughput, memory, and the forecast."""
