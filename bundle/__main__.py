"""``python -m bundle`` (``make bundle``): write the bundle for a machine."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundle.models import Model, models_of
from bundle.parts import MEGABYTE, project_files, write_bundle
from bundle.target import BundleError, Target
from bundle.wheels import Index, Selection, needed_glibc, project_requirements, read_constraints, select
from persistence_pipeline.report.manifest import commit_of

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a bundle; one line says what was wrong."""
    options = _options(arguments)
    try:
        started = time.perf_counter()
        target = Target.of(options.python, options.platform, options.installed)
        manifest = make_bundle(ROOT, options.into, target, options.extras, options.study, options.part_mb)
    except (BundleError, OSError) as fault:  # no room, no access
        print(f"bundle: {fault}", file=sys.stderr)
        return 1
    size = sum(part["bytes"] for part in manifest["parts"]) / MEGABYTE
    print(
        f"{options.into}: {size:.0f} MB in {len(manifest['parts'])} parts, {len(manifest['wheels'])} wheels, "
        f"{len(manifest['models'])} models, in {time.perf_counter() - started:.0f} s. "
        f"There: sh {options.into.name}/install --into <folder>"
    )
    return 0


def make_bundle(
    root: Path, folder: Path, target: Target, extras: Sequence[str], study: str | None, part_megabytes: int
) -> dict[str, Any]:
    """Choose and download wheels, gather models and project, write the folder; returns its ``bundle.json``.

    Raises:
        BundleError: what is asked for cannot be had; says what to do.
    """
    if part_megabytes < 1:
        raise BundleError(f"parts of {part_megabytes} MB: expected a whole number from 1")
    models = models_of(root, study) if study else []
    needed, builders = project_requirements(root / "pyproject.toml", extras)
    with tempfile.TemporaryDirectory() as scratch:
        built, wheels = Path(scratch) / "built", Path(scratch) / "wheels"
        built.mkdir()
        index = Index(target, built)
        selection = select(needed, builders, read_constraints(root / "constraints.txt"), target, index)
        index.download(selection.pins, wheels)
        files = [
            *project_files(root),
            *((f"wheels/{path.name}", path) for path in sorted(wheels.iterdir())),
            *(item for model in models for item in model.files.items()),
        ]
        facts = _facts(root, target, extras, selection, models) | {"glibc": needed_glibc(wheels.iterdir())}
        return write_bundle(folder, files, part_megabytes, facts)


def _facts(
    root: Path, target: Target, extras: Sequence[str], selection: Selection, models: Sequence[Model]
) -> dict[str, Any]:
    return {
        "commit": commit_of(root / "src/persistence_pipeline/report/manifest.py"),
        "python": target.python,
        "machine": target.machine,
        "cuda": _cuda(selection.carried),
        "extras": list(extras),
        "wheels": dict(sorted(selection.carried.items())),
        "relied_on": selection.relied_on,
        "models": [{"source": m.source, "model": m.asked, "from_hub": m.from_hub} for m in models],
    }


def _cuda(carried: dict[str, str]) -> str | None:
    """Version of CUDA that a carried torch is built for, by the runtime that comes with it."""
    runtimes = [version for name, version in carried.items() if name.startswith("nvidia-cuda-runtime")]
    return runtimes[0] if "torch" in carried and runtimes else None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(prog="python -m bundle", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "bundle", help="folder (build/bundle)")
    parser.add_argument("--python", default=here, help=f"version of that machine's Python ({here})")
    parser.add_argument(
        "--platform", default="manylinux_2_28_x86_64", help="newest platform whose wheels run there (%(default)s)"
    )
    parser.add_argument(
        "--installed", type=Path, help="what `pip freeze` or `pip list` says there: that is not carried"
    )
    parser.add_argument("--extras", nargs="*", default=["test"], help="extras of the project (test)")
    parser.add_argument("--study", help="environment whose pretrained models are carried, such as gpu (none)")
    parser.add_argument("--part-mb", type=int, default=1024, help="megabytes of a part (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
