"""``python -m persistence_pipeline.dvc``: expand study specs into tables of policies and ``dvc.yaml`` files."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from persistence_pipeline.dvc.outside import outside_files
from persistence_pipeline.dvc.stages import Study, render_dvc_file
from persistence_pipeline.session import configuration
from persistence_pipeline.study.expanded import difference, expansion, read_table
from persistence_pipeline.study.policies import StudyError
from persistence_pipeline.study.spec import TABLE


def main(argv: list[str] | None = None) -> None:
    """Expand the spec of each environment that has one: the table of policies, then ``dvc.yaml``."""
    parser = argparse.ArgumentParser(prog="python -m persistence_pipeline.dvc", description=main.__doc__)
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
    """Write what has changed, and say what that is."""
    now = expansion(conf, env, changes)
    table = conf / env / TABLE
    if not read_table(table):
        table.unlink(missing_ok=True)  # no table, so it may not stand in the way of the new one
    outside_files(configuration(conf, env)["parameters"])  # refused before anything is written
    told = difference(table, now.policies)
    table.with_suffix(".yml").unlink(missing_ok=True)  # the table of earlier versions
    study = Study(conf, env, now.policies)
    files = [table] * _put(table, now.render())
    files += [study.dvc_file] * _put(study.dvc_file, render_dvc_file(study))
    names = ", ".join(str(path.relative_to(conf.parent)) for path in files)
    print(f"{conf.name}/{env}: {told}; {f'written: {names}' if names else 'files unchanged'}")  # noqa: T201


def _put(path: Path, text: str) -> bool:
    """Let a file hold this text, in one step; whether it did not before."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return True


if __name__ == "__main__":
    main()
