"""The engine of rollouts in process: key-value cache, attention, prefill, sequences; it knows no episode."""
