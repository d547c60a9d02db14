"""Helpers for the tests of whole pipelines; the fixtures over real runs are in ``tests/projects.py``."""

from tests.projects import ROOT, Run, copy_project, start_kedro

__all__ = ["ROOT", "Run", "copy_project", "start_kedro"]
