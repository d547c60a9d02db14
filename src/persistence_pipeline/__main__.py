"""``python -m persistence_pipeline``: ``kedro run`` where the package is installed and the project is not at hand.

The wheel holds no configuration: ``--conf-source`` names it, a folder or the archive that ``kedro package`` writes
beside the wheel. Paths of the configuration are meant from the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main() -> None:
    """Run the pipelines that the command line names."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # as the project's own .telemetry says
    package = Path(__file__).parent.name
    configure_project(package)
    find_run_command(package)()


if __name__ == "__main__":
    main()
