"""A study: its policies, the cases they act on, and what kind of study it is.

Running pipelines read ``policies.py`` and ``design.py`` alone. ``spec.py`` expands a compact spec to the table of
policies, ``expanded.py`` sees that a table is that of its spec. What DVC makes of a study is in ``dvc/``.
"""

from persistence_pipeline.study.design import StudyDesign, parse_design, parse_study
from persistence_pipeline.study.policies import CaseSet, Policy, StudyError, parse_policies, seed_name

__all__ = [
    "CaseSet",
    "Policy",
    "StudyDesign",
    "StudyError",
    "parse_design",
    "parse_policies",
    "parse_study",
    "seed_name",
]
