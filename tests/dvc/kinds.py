"""Projects whose environment gpu has a study of each kind that is not the default."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from persistence_pipeline.dvc.expanding import write_studies

ROOT = Path(__file__).resolve().parents[2]
EMULATION = {
    "emulation": {"cases": "/elsewhere/cases.json", "toolkits": "/elsewhere/toolkits.json"},
    "analysis": {"split": "test_iid"},
}
PUBLISHED = {"published": {"root": "/elsewhere/clone", "pairs": {"toolkits": "/elsewhere/toolkits.json"}}}
OWN = {
    "safety": "/elsewhere/safe.jsonl",
    "helpfulness": "/elsewhere/useful.jsonl",
    "both": "/elsewhere/both.jsonl",
}
PER_SEED = {"sources": {"llama": {"per_seed": True}}}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "own": ({"pairs": "own", "own_pairs": OWN}, {}),
    "toolemu": ({"cases": "toolemu"}, EMULATION),
    "published": ({"pairs": "published"}, PUBLISHED),
    "per_seed": ({}, {}),
    "toolemu_published": ({"cases": "toolemu", "pairs": "published"}, {**EMULATION, **PUBLISHED}),
}
"""The parameter ``study`` and what else is named, by kind."""


@dataclass(frozen=True)
class Place:
    """A project and the environment of a study in it."""

    root: Path
    env: str

    @property
    def conf(self) -> Path:
        """Folder of the configuration."""
        return self.root / "conf"

    @property
    def dvc_file(self) -> Path:
        """The study's file of stages."""
        return self.root / "dvc.yaml" if self.env == "base" else self.conf / self.env / "dvc.yaml"


def edit(path: Path, changes: dict[str, Any]) -> None:
    """Change top-level entries of a YAML file; it is made where it is not there."""
    content = yaml.safe_load(path.read_text()) if path.is_file() else {}
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))


STUDIES: dict[str, dict[str, Any]] = {
    "per_seed": {
        "sources": ["llama", "gpt2"],
        "factors": {"beta": [0.1], "learning_rate": [0.001, 0.003], "loss": "ipo"},
    }
}
"""What else the spec says, by kind."""


def make_kind(root: Path, kind: str) -> Place:
    """A project whose environment gpu has a small study of this kind, not expanded yet."""
    place = Place(root, "gpu")
    shutil.copytree(ROOT / "conf", place.conf)
    (root / "src").symlink_to(ROOT / "src")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    design, further = KINDS[kind]
    spec = {"factors": {"beta": [0.1]}, "seeds": [0, 1], **STUDIES.get(kind, {})}
    edit(place.conf / "gpu/study.yml", spec)
    edit(place.conf / "gpu/parameters_sources.yml", PER_SEED if kind == "per_seed" else {})
    edit(place.conf / "gpu/parameters.yml", {"study": design})
    edit(place.conf / f"gpu/parameters_{kind}.yml", further)
    return place


def expand(place: Place) -> None:
    """Write the table of cells and the stages, as a user does it."""
    list(write_studies(place.conf, [place.env]))
