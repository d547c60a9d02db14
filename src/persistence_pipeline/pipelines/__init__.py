"""Kedro pipelines: one folder per name that a user may run; nodes are thin calls into plain code."""
