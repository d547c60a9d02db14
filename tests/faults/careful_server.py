"""A server in a process of its own: ``python -m tests.faults.careful_server PORT FOLDER REQUESTS``.

It answers as the careful script does, notes each answered request in ``FOLDER/answered`` and dies by ``SIGKILL``
where the request after ``REQUESTS`` of them comes in; with 0 it lives on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.rollout.test_served import CASES, Careful

from chat_server import ChatServer
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy


def main() -> None:
    """Serve until killed."""
    port, answered, lives = int(sys.argv[1]), Path(sys.argv[2]) / "answered", int(sys.argv[3])
    played = ScriptedPolicy("careful").play([Episode(case, policy="careful", seed=0) for case in CASES])
    careful = Careful({episode.case.instruction: episode.trajectory() for episode in played})
    n, lock = 0, threading.Lock()

    def answer(request: dict[str, Any]) -> Any:
        nonlocal n
        with lock:
            if n == lives > 0:
                os.kill(os.getpid(), signal.SIGKILL)
            n += 1
            answered.write_text(str(n))
            return careful(request)

    with ChatServer(answer, model="cell", port=port) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
