"""The folder of the trainer's state, from which a killed stage may continue."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "trl", "peft")


def fingerprint(inputs: object, checkpoints: Iterable[Path]) -> str:
    """SHA-256 over JSON-able inputs, the checkpoints' files and the versions of the libraries."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    digest.update(json.dumps({name: version(name) for name in LIBRARIES}).encode())
    for checkpoint in checkpoints:
        for name, of_file in file_digests(checkpoint):
            digest.update(name.encode() + of_file)
    return digest.hexdigest()


def file_digests(checkpoint: Path, pattern: str = "*") -> Iterator[tuple[str, bytes]]:
    """Name and SHA-256 of each file of a checkpoint that fits the pattern, in the order of their names."""
    for path in sorted(p for p in checkpoint.glob(pattern) if p.is_file()):
        with path.open("rb") as file:
            yield path.name, hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True)
class StageScratch:
    """The folder of one stage; nothing in it but what is named here is ever touched."""

    folder: Path

    @classmethod
    def open(cls, folder: Path, stage: str) -> StageScratch:
        """The folder for a stage with this fingerprint; state of any other stage is removed."""
        scratch = cls(folder)
        mark = folder / "stage.sha256"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != stage:
            mark.unlink(missing_ok=True)
            scratch.clear_trainer()
            folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(stage, encoding="utf-8")
        return scratch

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.folder.name

    @property
    def trainer(self) -> Path:
        """The trainer's own checkpoints, with optimiser state."""
        return self.folder / "trainer"

    @property
    def checkpoint(self) -> Path:
        """The resulting checkpoint."""
        return self.folder / "checkpoint"

    @property
    def job(self) -> Path:
        """The folder of what several processes of a stage are handed, and hand back."""
        return self.folder / "job"

    def clear_trainer(self) -> None:
        """Remove the trainer's state."""
        shutil.rmtree(self.trainer, ignore_errors=True)

    def last_saved(self) -> str | None:
        """The newest complete checkpoint of the trainer; incomplete ones, cut off by a kill, are removed."""
        complete: dict[int, Path] = {}
        for path in self.trainer.glob("checkpoint-*"):
            if _is_complete(path):
                complete[int(path.name.rpartition("-")[2])] = path
            else:
                shutil.rmtree(path)
        if not complete:
            return None
        logger.info("%s: continuing from step %d", self.name, max(complete))
        return str(complete[max(complete)])


def _is_complete(checkpoint: Path) -> bool:
    """The trainer writes its state file last."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
