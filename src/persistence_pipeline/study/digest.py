"""One small file that stands for all the code of a stage.

``python -m persistence_pipeline.study.digest DVC_FILE STAGE TARGET`` writes the SHA-256 of every dependency of a
stage, and the values of its parameters. Other stages depend on that file; a study of many cells then has hundreds
of dependencies instead of thousands, and DVC looks through them in seconds.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml


def digest(dvc_file: Path, stage: str) -> str:
    """A line for each dependency of a stage, and one for each of its parameters."""
    declared: dict[str, Any] = yaml.safe_load(dvc_file.read_text("utf-8"))["stages"][stage]
    lines = [f"{hashlib.sha256(Path(path).read_bytes()).hexdigest()}  {path}" for path in declared["deps"]]
    for entry in declared.get("params", []):
        for path, keys in entry.items():
            content = yaml.safe_load(Path(path).read_text("utf-8"))
            lines += [f"{path} {key}: {json.dumps(content[key], sort_keys=True)}" for key in keys]
    return "\n".join(lines) + "\n"


def main(dvc_file: str, stage: str, target: str) -> None:
    """Write the digest of a stage."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest(Path(dvc_file), stage), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
