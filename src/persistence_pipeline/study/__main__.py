"""``python -m persistence_pipeline.study``: expand study specs into tables of cells and ``dvc.yaml`` files."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import yaml

from persistence_pipeline.study.cells import StudyError
from persistence_pipeline.study.outside import configuration, outside_files
from persistence_pipeline.study.spec import TABLE, StudySpec, expand, load_spec, parse_spec, render_cells
from persistence_pipeline.study.stages import Study, write_dvc_file


def main(argv: list[str] | None = None) -> None:
    """Expand the spec of each environment that has one: the table of cells, then ``dvc.yaml``."""
    parser = argparse.ArgumentParser(prog="python -m persistence_pipeline.study", description=main.__doc__)
    parser.add_argument("--env", action="append", help="only this environment (may be repeated)")
    parser.add_argument("--conf", type=Path, default=Path("conf"))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FACTOR=LEVELS",
        help="expand as if study.yml said so, e.g. betas=[0.2]; study.yml itself stays as it is",
    )
    options = parser.parse_args(argv)
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    environments = options.env or sorted(path.parent.name for path in options.conf.glob("*/study.yml"))
    try:
        for env in environments:
            _expand(options.conf.resolve(), env, options.set)
    except StudyError as error:
        raise SystemExit(f"error: {error}") from None


def _expand(conf: Path, env: str, changes: list[str]) -> None:
    sources = _sources(conf, env)
    spec = _with(load_spec(conf / env / "study.yml"), changes)
    base = expand(load_spec(conf / "base" / "study.yml"), _sources(conf, "base"))
    cells = expand(spec, sources)
    outside_files(configuration(conf, env)["parameters"])  # refused before anything is written
    (conf / env / TABLE).with_suffix(".yml").unlink(missing_ok=True)  # the table of earlier versions
    (conf / env / TABLE).write_text(render_cells(cells, spec, base), encoding="utf-8")
    write_dvc_file(Study(conf, env, cells))


def _sources(conf: Path, env: str) -> set[str]:
    """Names of the sources that an environment knows."""
    paths = [conf / folder / "parameters_sources.yml" for folder in ("base", env)]
    found = [yaml.safe_load(path.read_text("utf-8")) for path in paths if path.is_file()]
    return {name for content in found for name in content["sources"]}


def _with(spec: StudySpec, changes: list[str]) -> StudySpec:
    changed = spec.model_dump(exclude_unset=True)
    for change in changes:
        factor, _, levels = change.partition("=")
        changed[factor] = yaml.safe_load(levels)
    return parse_spec(changed, "--set")


if __name__ == "__main__":
    main()
