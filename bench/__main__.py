"""``python -m bench [PART ...]``: measures, merges into docs/performance.json, renews the tables of the page."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PARTS = ("rollouts", "dialects", "served", "stages", "pretrained", "tables", "study", "noop", "scaling", "cores")
SCRIPTS = {
    "gpu": "bench.gpu.__main__",
    "coverage": "bench.coverage",
    "sentences": "bench.sentences",
    "findings": "bench.findings",
    "margins": "bench.margins",
}
"""Named like a part, with options of their own."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    """Measure the named parts, or all of them; or hand over to a script."""
    script = SCRIPTS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if script is not None:
        sys.exit(import_module(script).main(sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)  # must stand before numerical libraries are loaded
        os.execv(sys.executable, [sys.executable, "-m", "bench", *sys.argv[1:]])
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {"rows": {}}
    for part in options.parts or PARTS:
        _measure(part, options.repeats, results)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    from bench.page import renew

    renew(PAGE, results)


def _measure(part: str, repeats: int, results: dict[str, Any]) -> None:
    from bench import dialects, pretrained, rollouts, scaling, served, stages, study, tables
    from bench.timing import machine

    results["machine"] = machine()
    if part == "scaling":
        results["scaling"] = scaling.measure()
    elif part == "cores":
        results["two_processes"] = scaling.measure_two_processes()
    else:
        measured = {
            "rollouts": rollouts.measure,
            "dialects": dialects.measure,
            "served": served.measure,
            "stages": stages.measure,
            "pretrained": pretrained.measure,
            "tables": tables.measure,
            "study": study.measure_default,
            "noop": study.measure_nothing_to_do,
        }[part](repeats)
        for row in measured:
            results["rows"][row.name] = row.as_dict()
            print(f"{row.name}: {row.ratio:.2f} (target {row.target})", file=sys.stderr)


if __name__ == "__main__":
    main()
