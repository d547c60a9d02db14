"""``python -m persistence_pipeline.training.worker <scratch of a stage>``: one of several processes of a stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.training.dpo import run_stage
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.launch import FAULT, JOB, LOG, REPORT, StageJob, StageReport, end_with_launcher
from persistence_pipeline.training.scratch import StageScratch


def main(folder: Path) -> int:
    """Train; the first process leaves log and report, one that fails leaves the fault."""
    end_with_launcher()
    state = StageScratch(folder)
    job = StageJob.model_validate_json((state.job / JOB).read_bytes())
    try:
        log, report = run_stage(job, state)
    except (StageError, TemplateError, ValueError) as fault:
        (state.job / FAULT).write_text(str(fault), encoding="utf-8")
        return 1
    if os.environ.get("RANK", "0") == "0":
        log.to_parquet(state.job / LOG, index=False)
        (state.job / REPORT).write_text(StageReport(report=report).model_dump_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
