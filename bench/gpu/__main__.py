"""``python -m bench gpu [PART ...]``: what one GPU does, part by part, each within its box of time.

Parts, in order of worth: card (rates, tests marked gpu), stage (LoRA, 7B), rollouts (1.5B), bytes (a tiny study
twice), pretrained (a small study on weights that are named), more (further points). Every number is on disk as
soon as it is measured. Started again, the script goes on with what is not done.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.gpu.report import Report, read, write

ROOT = Path(__file__).resolve().parents[2]
BOXES = {"card": 90, "stage": 120, "rollouts": 120, "bytes": 180, "pretrained": 300, "more": 300}
"""Seconds of each part, in order of worth."""
REFUSED, SKIPPED = 3, 4
"""Exit codes of a part's process."""
ALL = "gpu.json"
"""All parts in one file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are not done; 1 where one failed or was refused."""
    options = _options(arguments)
    if options.run:
        return _child(options)
    fault = _fault(options)
    if fault:
        print(f"bench gpu: {fault}", file=sys.stderr)
        return 1
    states = [_run_part(name, options) for name in options.parts or BOXES]
    _gather(options)
    if all(read(options.out / f"{name}.json").get("status") in ("done", "skipped") for name in BOXES):
        shutil.rmtree(options.work, ignore_errors=True)
    return int(any(state not in ("done", "skipped") for state in states))


def _fault(options: argparse.Namespace) -> str | None:
    """What stands in the way of all parts."""
    from bench.gpu.card import CardError, require_card

    if options.device == "cpu" and not options.tiny:
        return "a CPU only rehearses: add --tiny"
    try:
        require_card(options.device)
    except CardError as refusal:
        return str(refusal)
    return None


def _run_part(name: str, options: argparse.Namespace) -> str:
    """Measure one part in a process of its own; returns its status."""
    path = options.out / f"{name}.json"
    if options.again:
        path.unlink(missing_ok=True)
    elif read(path).get("status") == "done":
        print(f"{name}: done already (--again measures anew)")
        return "done"
    box = options.box or BOXES[name]
    log = options.out / f"{name}.log"
    print(f"== {name}, at most {box:.0f} s", flush=True)
    started = time.perf_counter()
    Report(path).state(status="running", box_seconds=box, command=options.command)
    code = _run_boxed([sys.executable, "-m", "bench.gpu", *_passed(options), "--run", name], log, box)
    status, reason = _outcome(code, log, box)
    Report(path).state(status=status, reason=reason, part_seconds=time.perf_counter() - started)
    _gather(options)
    print(f"{name}: {status}{f': {reason}' if reason else ''}", flush=True)
    return status


def _run_boxed(command: list[str], log: Path, seconds: float) -> int | None:
    """The exit code of a command; None where its time was up. It ends with all that it started."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _outcome(code: int | None, log: Path, box: float) -> tuple[str, str | None]:
    if code == 0:
        return "done", None
    if code is None:
        return "overran", f"stopped after {box:.0f} s; what was measured is kept, and the rest can be continued"
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    words = {REFUSED: "refused", SKIPPED: "skipped"}
    return words.get(code, "failed"), last if code in words else f"{last} (exit code {code}; all of it: {log})"


def _child(options: argparse.Namespace) -> int:
    """One part, in this process; its last line says why it was refused or skipped."""
    from bench.gpu.card import CardError, facts, require_card
    from bench.gpu.parts import MEASURES, Setting, SkippedPartError

    report = Report(options.out / f"{options.run}.json")
    setting = Setting(options.device, options.out, options.work, options.pretrained, options.tiny)
    try:
        require_card(options.device)
        report.state(machine=facts(options.device))
        MEASURES[options.run](setting, report)
    except SkippedPartError as reason:
        print(reason)
        return SKIPPED
    except CardError as reason:
        print(reason)
        return REFUSED
    return 0


def _gather(options: argparse.Namespace) -> None:
    """All parts in one file."""
    found = {name: read(options.out / f"{name}.json") for name in BOXES}
    write(options.out / ALL, {name: content for name, content in found.items() if content})


def _passed(options: argparse.Namespace) -> list[str]:
    passed = ["--device", options.device, "--out", str(options.out), "--work", str(options.work)]
    passed += ["--tiny"] if options.tiny else []
    return passed + (["--pretrained", options.pretrained] if options.pretrained else [])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*BOXES, []], metavar="PART", help=", ".join(BOXES))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes at which a CPU rehearses it")
    parser.add_argument("--again", action="store_true", help="measure anew what is done")
    parser.add_argument("--pretrained", help="directory or hub id of a pretrained model, for that part")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench/gpu", help="folder of the JSON files")
    parser.add_argument(
        "--work", type=Path, help="folder for models (in memory where there is room, else in --out)"
    )
    parser.add_argument("--box", type=float, help="seconds of every part, in place of their own")
    parser.add_argument("--run", choices=BOXES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.command = " ".join(["python -m bench gpu", *(sys.argv[1:] if arguments is None else arguments)])
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    options.work = (options.work or _work(options)).absolute()
    return options


def _work(options: argparse.Namespace) -> Path:
    """Memory that looks like a disk holds 16 GB of weights and is read at once; else beside the results."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 40 * 2**30
    return shared / "bench-gpu" if roomy and not options.tiny else options.out / "work"


if __name__ == "__main__":
    sys.exit(main())
