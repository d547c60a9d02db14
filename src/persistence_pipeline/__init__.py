"""What is left of an agent's safety after training for helpfulness."""

__version__ = "0.1.0"
