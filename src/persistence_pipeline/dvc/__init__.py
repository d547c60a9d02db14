"""A study under DVC: its stages, which of them are changed, and their running beside one another."""
