"""The pretrained models that a study starts from, as they lie on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundle.target import BundleError


@dataclass(frozen=True)
class Model:
    """A model to carry."""

    source: str
    """Its name in the study."""
    asked: str
    """As the parameters name it: a directory, a GGUF file, a package, or an id on the hub."""
    files: dict[str, Path]
    """What is carried: paths inside the bundle, and where each file lies here."""

    @property
    def from_hub(self) -> bool:
        """Whether it lies in the hub's cache rather than in a directory."""
        return next(iter(self.files)).startswith("hub/")


def models_of(project: Path, env: str) -> list[Model]:
    """The pretrained sources that the policies of an environment start from; others are trained there.

    Raises:
        BundleError: no such environment, or a model that is neither a directory nor in the hub's cache.
    """
    if not (project / "conf" / env).is_dir():
        raise BundleError(f"study {env!r}: there is no conf/{env}")
    from persistence_pipeline.session import configuration

    parameters = configuration(project / "conf", env)["parameters"]
    used = sorted({policy["source"] for policy in parameters["policies"].values() if policy})
    pretrained = {name: parameters["sources"][name].get("pretrained") for name in used}
    scratch = project / parameters.get("scratch", "data/.scratch")
    return [_model(project, scratch, name, settings) for name, settings in pretrained.items() if settings]


def _model(project: Path, scratch: Path, name: str, pretrained: dict[str, str]) -> Model:
    from persistence_pipeline.training.packages import PackagedModel, packages_folder

    asked = pretrained["model"]
    package = PackagedModel.of(asked)
    if package is not None:
        folder = package.place(packages_folder(scratch), pretrained.get("dtype", "bfloat16"))
        if not folder.is_dir():
            raise BundleError(f"source {name}: there is no {folder}: `kedro run` of the study fetches it here")
        return Model(name, asked, dict(_below(folder, f"models/{name}")))
    folder = project / asked
    if folder.is_file():
        return Model(name, asked, {f"models/{name}/{folder.name}": folder.resolve()})
    if folder.is_dir():
        return Model(name, asked, dict(_below(folder, f"models/{name}")))
    return Model(name, asked, dict(_cached(name, asked, pretrained.get("revision"))))


def _cached(name: str, asked: str, revision: str | None) -> Iterator[tuple[str, Path]]:
    """A model of the hub as its cache keeps it, links followed, so that it is found there under its id."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(asked, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise BundleError(
            f"source {name}: {asked} is neither a directory nor in the hub's cache of this machine: "
            f"`hf download {asked}` where there is a network, or leave STUDY out to carry no model"
        ) from None
    repository = snapshot.parents[1]
    yield from _below(snapshot, f"hub/{repository.name}/snapshots/{snapshot.name}")
    yield from _below(repository / "refs", f"hub/{repository.name}/refs")


def _below(folder: Path, inside: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{inside}/{path.relative_to(folder).as_posix()}", path.resolve()
