"""What each part measures."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.gpu import card, rollouts, stage, study
from bench.gpu.report import Report, read
from bench.gpu.sizes import FULL, TINY, Sizes

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setting:
    """What every part is given."""

    device: str
    out: Path
    """Where the JSON files lie."""
    work: Path
    """Folder for models and projects."""
    pretrained: str | None
    """Directory or id of a pretrained model; None: that part is left out."""
    tiny: bool

    @property
    def sizes(self) -> Sizes:
        """Of what is measured."""
        return TINY if self.tiny else FULL

    def rates(self) -> tuple[float, float]:
        """Operations and copied bytes a second of the card, as the first part measured them, or now."""
        known = read(self.out / "card.json").get("points", {}).get("rates", {}).get("measured")
        if known:
            return known["matrix_operations_a_second"], known["copied_bytes_a_second"]
        return (
            card.matrix_rate(self.device, self.sizes.matrix, 5),
            card.copy_rate(self.device, self.sizes.copied, 5),
        )


def measure_card(setting: Setting, report: Report) -> None:
    """The card's rates, and the tests that need one."""
    if not report.done("rates"):
        rate = card.matrix_rate(setting.device, setting.sizes.matrix, 10)
        copied = card.copy_rate(setting.device, setting.sizes.copied, 10)
        report.measure("rates", matrix_operations_a_second=rate, copied_bytes_a_second=copied)
    if not report.done("tests"):
        started = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider", "-rf", "-q"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        said = re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        counts = {word: int(number) for number, word in said}
        report.measure("tests", counts=counts, failed=failed, seconds=time.perf_counter() - started)
        print(f"tests: {counts}")


def measure_stage(setting: Setting, report: Report) -> None:
    """A LoRA stage of the 7B shape."""
    stage.measure(setting.sizes.stage, setting.device, setting.rates()[0], report, setting.work)


def measure_rollouts(setting: Setting, report: Report) -> None:
    """Rollouts of the 1.5B shape."""
    rollouts.measure(setting.sizes.rollouts, setting.device, *setting.rates(), report)


def measure_bytes(setting: Setting, report: Report) -> None:
    """A tiny study twice, and on the CPU."""
    study.measure_bytes(setting.device, report, setting.work)


def measure_pretrained(setting: Setting, report: Report) -> None:
    """A small study on pretrained weights."""
    if setting.pretrained is None:
        raise SkippedPartError("no pretrained weights are named (--pretrained)")
    study.measure_pretrained(setting.device, setting.pretrained, report, setting.work)


def measure_more(setting: Setting, report: Report) -> None:
    """Further points, and two stages beside each other."""
    rates = setting.rates()
    refused = []
    for point in setting.sizes.more_stages:
        try:
            stage.measure(point, setting.device, rates[0], report, setting.work)
        except card.CardError as refusal:  # a smaller point may still fit
            refused.append(str(refusal))
    rollouts.measure(setting.sizes.more_rollouts, setting.device, *rates, report)
    measure_beside(setting, report)
    if refused:
        raise card.CardError("; ".join(refused))


def measure_beside(setting: Setting, report: Report) -> None:
    """Two stages on one card at once, against one alone."""
    point, name = setting.sizes.beside, "two at once"
    if report.done(name):
        return
    speeds = {}
    for n in (1, 2):
        outs = [setting.work / f"beside_{n}_{k}.json" for k in range(n)]
        for out in outs:
            out.unlink(missing_ok=True)
        command = [sys.executable, "-m", "bench.gpu.beside", "--device", setting.device]
        command += ["--tiny"] if setting.tiny else []
        running = [
            subprocess.Popen([*command, "--out", str(out), "--work", str(out.with_suffix(""))], cwd=ROOT)
            for out in outs
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            raise RuntimeError(f"{name}: a process failed; its output is in the log")
        found = [read(out)["points"][point.name]["measured"]["tokens_a_second"] for out in outs]
        speeds[n] = sum(found)
    report.measure(name, alone=speeds[1], together=speeds[2], gain=speeds[2] / speeds[1], of=point.name)


class SkippedPartError(Exception):
    """A part that was not asked for; the message says why."""


MEASURES = {
    "card": measure_card,
    "stage": measure_stage,
    "rollouts": measure_rollouts,
    "bytes": measure_bytes,
    "pretrained": measure_pretrained,
    "more": measure_more,
}
"""By the name of the part."""
