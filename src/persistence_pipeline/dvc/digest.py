"""Small files that stand for all the code of a stage, one for each kind of stage.

``python -m persistence_pipeline.dvc.digest DVC_FILE FOLDER IDENTITY`` writes, for each entry of the
``meta`` of the stage ``code``, the SHA-256 of its files and the values of its parameters. Other stages depend on
these files; a study of many cells then has hundreds of dependencies instead of thousands, and DVC looks through
them in seconds.
The identity is a digest of that ``meta``: it changes the command, and so the stage, where a file comes to stand
for others.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from persistence_pipeline.dvc.command import CODE


def digest(needs: Mapping[str, Any]) -> str:
    """A line for each file in ``deps``, and one for each parameter in ``params``."""
    lines = [f"{hashlib.sha256(Path(path).read_bytes()).hexdigest()}  {path}" for path in needs["deps"]]
    for entry in needs.get("params", []):
        for path, keys in entry.items():
            content = yaml.safe_load(Path(path).read_text("utf-8"))
            lines += [f"{path} {key}: {json.dumps(content[key], sort_keys=True)}" for key in keys]
    return "\n".join(lines) + "\n"


def main(dvc_file: str, folder: str, _identity: str) -> None:
    """Write the digests of a study's stages."""
    stages = yaml.safe_load(Path(dvc_file).read_text("utf-8"))["stages"]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, needs in stages[CODE]["meta"].items():
        (Path(folder) / f"{name}.txt").write_text(digest(needs), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
