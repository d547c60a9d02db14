"""DVC's command line on one study: where its files are, how stages are named, which of them are changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persistence_pipeline.study.spec import TABLE

COMMAND = (sys.executable, "-m", "dvc")


class StudyDvc:
    """DVC on the study of an environment.

    Args:
        project: Root of the project.
        env: The environment.
    """

    def __init__(self, project: Path, env: str) -> None:
        self.project, self.env = project, env
        self.conf = project / "conf"
        self.at_root = env == "base"
        """Whether its ``dvc.yaml`` stands at the project's root; others beside their environment's spec."""
        self.file = "dvc.yaml" if self.at_root else f"conf/{env}/dvc.yaml"
        self.path, self.table = project / self.file, self.conf / env / TABLE
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for the stages' programs
        self.environment = {**os.environ, "PATH": path}

    def require_repository(self) -> None:
        """See that DVC can work here at all; in its own words it says less.

        Raises:
            SystemExit: the project is in no Git repository, as one that was unpacked from an archive, or lacks
                DVC's own folder; says what to do.
        """
        own = self.project / ".dvc"
        if not own.is_dir():
            raise SystemExit(f"error: {own} is missing, a part of the project: take the whole archive or a clone")
        settings = [path.read_text("utf-8") for path in (own / "config", own / "config.local") if path.is_file()]
        alone = any("no_scm=true" in text.lower().replace(" ", "") for text in settings)
        if not alone and not any((place / ".git").exists() for place in (self.project, *self.project.parents)):
            raise SystemExit(
                f"error: DVC works in a Git repository, and {self.project} is in none: `git init` makes one here, "
                "`dvc config --local core.no_scm true` does without"
            )

    def named(self, path: Path) -> str:
        """A path as the stages name it: from the project's root."""
        return str(path.relative_to(self.project))

    def targets(self, stages: Sequence[str]) -> list[str]:
        """DVC's names of these stages."""
        return [f"{self.file}:{stage}" for stage in stages]

    def changed(self) -> set[str]:
        """Names of the stages that DVC calls changed, without those that will be changed by them.

        Raises:
            SystemExit: with DVC's exit status, where it fails.
        """
        said = self.run("status", "--json", self.file, stdout=subprocess.PIPE)
        if said.returncode:
            raise SystemExit(said.returncode)
        return {name.rpartition(":")[2] for name in json.loads(said.stdout or "{}")}

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """A command of DVC, whatever its exit status; ``options`` are those of ``subprocess.run``."""
        command = [*COMMAND, *arguments]
        return subprocess.run(command, cwd=self.project, env=self.environment, check=False, **options)  # noqa: S603
