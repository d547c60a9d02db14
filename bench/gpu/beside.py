"""One of several stages that share a card: a process of its own, started by the part ``more``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.gpu import card, stage
from bench.gpu.report import Report
from bench.gpu.sizes import FULL, TINY


def main() -> None:
    """Measure the point that two processes measure at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", required=True)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    sizes = TINY if options.tiny else FULL
    rate = card.matrix_rate(options.device, sizes.matrix, 3)
    stage.measure(sizes.beside, options.device, rate, Report(options.out), options.work)


if __name__ == "__main__":
    main()
