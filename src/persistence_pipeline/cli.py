"""Commands of this project, which Kedro shows and runs beside its own: ``kedro cells``, ``kedro repro`` ….

Each hands its options to the room that does the work, and imports that room only when it is called. ``run`` is
Kedro's own, but says in one line what is wrong with its input (``PERSISTENCE_TRACEBACK=1`` shows the traceback).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli import project
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from kedro.framework.startup import ProjectMetadata

environment = click.option(
    "--env", "-e", envvar="KEDRO_ENV", default="base", show_default=True, help="Environment of the study."
)
a_path = click.Path(path_type=Path, resolve_path=True)


class InputError(click.ClickException):
    """A command was given something wrong."""

    def show(self, file: Any = None) -> None:
        """One line, and one for each note: where it happened, what goes on from there."""
        notes = getattr(self.__cause__, "__notes__", [])
        click.echo("\n".join([f"error: {self.message}", *notes]), file=file, err=True)


class StudyCommand(click.Command):
    """A command that answers wrong input with one line; faults of the program show their traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from persistence_pipeline.input_errors import in_words

            words = None if os.environ.get("PERSISTENCE_TRACEBACK") == "1" else in_words(error)
            if words is None:
                raise
            raise InputError(words) from error


run = StudyCommand("run", callback=project.run.callback, params=project.run.params, help=project.run.help)


@click.group(context_settings=CONTEXT_SETTINGS, name=__package__)
def cli() -> None:
    """Commands of this project."""


cli.command_class = StudyCommand
cli.add_command(run)


@cli.command()
@click.option("--env", "-e", multiple=True, help="Only this environment; may be repeated.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FACTOR=LEVELS",
    help="Expand as if study.yml said so, e.g. factors.beta=[0.2]; study.yml itself stays as it is.",
)
@click.pass_obj
def cells(metadata: ProjectMetadata, env: tuple[str, ...], changes: tuple[str, ...]) -> None:
    """Expand each study.yml into its table of policies and, but for `dvc: false`, its dvc.yaml."""
    from persistence_pipeline.dvc.expanding import write_studies

    for done in write_studies(metadata.project_path / "conf", env, changes):
        click.echo(done)


@cli.command()
@environment
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="Processes at once.")
@click.option("--gpus", default="", help="One process for each of these CUDA devices, e.g. 0,1,2,3.")
@click.option("--pull", is_flag=True, help="Fetch what the remote has instead of running it.")
@click.pass_context
def repro(context: click.Context, env: str, jobs: int, gpus: str, pull: bool) -> None:
    """Bring a study up to date with DVC, several processes side by side."""
    from persistence_pipeline.dvc.parallel import reproduce

    places = [{"CUDA_VISIBLE_DEVICES": name} for name in gpus.split(",") if name] or [{}] * jobs
    try:
        context.exit(reproduce(context.obj.project_path, env, places, pull))
    except KeyboardInterrupt:
        raise click.ClickException("stopped; run the same command to go on") from None


@cli.command()
@environment
@click.option("--check", is_flag=True, help="Tell only; commit nothing.")
@click.pass_context
def commit(context: click.Context, env: str, check: bool) -> None:
    """Commit to DVC what runs have made, where it belongs to what dvc.yaml declares."""
    from persistence_pipeline.provenance.commit import commit as compare_and_commit

    told, whole = compare_and_commit(context.obj.project_path, env, check)
    click.echo(told)
    context.exit(not whole)


@cli.command()
@environment
@click.option("--reporting", type=a_path, help="Folder of another finished study, in place of the environment's.")
@click.option("--name", help="Of the file; default: the environment's.")
@click.pass_obj
def results(metadata: ProjectMetadata, env: str, reporting: Path | None, name: str | None) -> None:
    """Copy the numbers of a finished study to docs/results, which Git tracks."""
    from persistence_pipeline.provenance.results import write_results

    click.echo(write_results(metadata.project_path, env, reporting, name))


@cli.command()
@environment
@click.option("--reporting", type=a_path, help="Folder of another finished study, in place of the environment's.")
@click.option("--target", type=a_path, help="Where the files go; default: paper/ in the study's reports.")
@click.pass_obj
def paper(metadata: ProjectMetadata, env: str, reporting: Path | None, target: Path | None) -> None:
    """Write figures (SVG, PNG), captions and tables (Markdown, LaTeX) of a finished study."""
    from persistence_pipeline.report.paper import write_paper

    reporting = reporting or _reporting(metadata, env)
    click.echo("\n".join(map(str, write_paper(reporting, target or reporting / "paper"))))


@cli.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY STUDY ...")
@click.option("--target", type=a_path, default="comparison.html", show_default=True, help="The page's file.")
@click.pass_obj
def compare(metadata: ProjectMetadata, studies: tuple[str, ...], target: Path) -> None:
    """Put finished studies side by side on one page: each an environment, or a folder of reports."""
    from persistence_pipeline.report.compare import write_comparison

    folders = [Path(name) if Path(name).is_dir() else _reporting(metadata, name) for name in studies]
    click.echo(write_comparison(folders, target))


def _reporting(metadata: ProjectMetadata, env: str) -> Path:
    """Folder of an environment's reports."""
    from persistence_pipeline.session import configuration, reporting_folder

    return Path(reporting_folder(metadata.project_path, configuration(metadata.project_path / "conf", env)))
