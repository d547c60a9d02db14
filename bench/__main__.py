"""``python -m bench [PART ...]``: measures, merges into docs/performance.json, renews the tables of the page."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PARTS = ("rollouts", "dialects", "served", "stages", "pretrained", "tables", "study", "noop", "scaling", "cores")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    """Measure the named parts, or all; ``gpu, coverage, sentences, findings`` are scripts of their own."""
    if sys.argv[1:2] == ["gpu"]:
        from bench.gpu.__main__ import main as on_gpu

        sys.exit(on_gpu(sys.argv[2:]))
    if sys.argv[1:2] == ["coverage"]:
        from bench.coverage import main as on_intervals

        sys.exit(on_intervals(sys.argv[2:]))
    if sys.argv[1:2] == ["sentences"]:
        from bench.sentences import main as on_sentences

        sys.exit(on_sentences(sys.argv[2:]))
    if sys.argv[1:2] == ["findings"]:
        from bench.findings import main as on_pages

        on_pages()
        return
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
