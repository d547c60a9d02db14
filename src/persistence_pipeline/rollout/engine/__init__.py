"""The engine of rollouts in process: key-value cache, attention, prefill, sampling; it knows no episode."""
