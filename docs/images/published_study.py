"""Draws the figures of docs/published-study.md from those of a run of the published pipeline.

python docs/images/published_study.py [data/08_reporting/published/figures]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from persistence_pipeline.report.paper import draw_images

HERE = Path(__file__).parent
FIGURES = HERE.parents[1] / "data" / "08_reporting" / "published" / "figures"
DRAWN = {"kinds": "published-kinds", "rivals_match": "published-memory"}
"""Names of the pictures by figure."""


def main() -> None:
    """Draw them as for a paper."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURES
    figures = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in DRAWN}
    for name, (svg, _) in draw_images(figures).items():
        (HERE / f"{DRAWN[name]}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
