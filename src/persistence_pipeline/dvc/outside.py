"""Files and folders outside the project that a study's stages read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline import yaml_files
from persistence_pipeline.agents.families import MODEL_FAMILIES
from persistence_pipeline.study.design import parse_design
from persistence_pipeline.study.policies import StudyError


def outside_files(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    """By what needs them: ``emulation`` (ToolEmu's cases), ``published`` (a clone), ``own`` (pairs), ``families``.

    Args:
        parameters: All parameters of the study.

    Raises:
        StudyError: the kind of study needs one that the parameters do not name.
    """
    design = parse_design(parameters["study"])
    found = {}
    if design.emulated:
        names = ("cases", "toolkits")
        named = (_named(parameters, "emulation", name, "cases: toolemu") for name in names)
        found["emulation"] = [str(Path(path).expanduser()) for path in named]
    if design.pairs == "published":
        found["published"] = _clone(parameters)
    if design.pairs == "own":
        found["own"] = list(dict.fromkeys(design.own_pairs.values()))
    families = list(dict.fromkeys(_families(parameters["sources"].values())))
    return {**found, "families": families} if families else found


def _families(sources: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Files of a user's families, and of the templates beside them."""
    for source in sources:
        named = (source.get("pretrained") or {}).get("family")
        if named and named not in MODEL_FAMILIES:
            yield named
            template = Path(named).parent / yaml_files.load(Path(named).expanduser())["template"]
            if template.expanduser().is_file():
                yield str(template)


def _named(parameters: Mapping[str, Any], group: str, name: str, kind: str) -> str:
    value = parameters[group][name]
    if not value:
        raise StudyError(f"parameter {group}.{name}: expected a path, for study has {kind}; got {value!r}")
    return str(value)


def _clone(parameters: Mapping[str, Any]) -> list[str]:
    """Folders of the clone with results, and the toolkits' file where there is one."""
    from persistence_pipeline.published.layout import folders_read
    from persistence_pipeline.published.pairs import toolkit_file
    from persistence_pipeline.published.settings import PublishedSettings

    root = _named(parameters, "published", "root", "pairs: published")
    settings = PublishedSettings.model_validate(parameters["published"])
    toolkits = toolkit_file(settings.pairs, root)
    return [*map(str, folders_read(Path(root).expanduser())), *([str(toolkits)] if toolkits else [])]
