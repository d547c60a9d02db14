"""LLM judge of trajectories, and LLM emulator of tools that have no implementation."""
