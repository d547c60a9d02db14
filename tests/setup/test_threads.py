"""The parameter ``threads`` reaches NumPy, which reads its number of threads once, when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.projects import HANGS

from persistence_pipeline.hooks.study import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
from pathlib import Path
threads = []

def see(event, arguments):
    if event == "import" and arguments[0] == "numpy":
        threads.append(os.environ.get("OPENBLAS_NUM_THREADS"))

sys.addaudithook(see)
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
with KedroSession.create(env="smoke") as session:
    session.load_context()
import numpy
print("threads:", threads[0])
"""


def test_numpy_is_loaded_with_the_threads_of_the_parameters() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANGS
    )
    assert done.stdout.splitlines()[-1:] == ["threads: 1"], done.stderr[-2000:]
