"""``python -m bundle``: all that a machine without a network needs, in one folder (docs/remote-gpu.md)."""
