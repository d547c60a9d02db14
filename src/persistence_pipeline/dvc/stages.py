"""``dvc.yaml`` of a study: the template with the study's names, its parameter files and its code filled in.

Each stage runs a slice of the Kedro pipelines. What the template says about a slice's data and parameters is
compared with Kedro's graph by a test; the code that it depends on is read from its imports.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from persistence_pipeline.dvc.code import CODE_FIELDS, PACKAGE, ROOT, files_behind
from persistence_pipeline.dvc.command import CODE
from persistence_pipeline.dvc.outside import outside_files, variables
from persistence_pipeline.dvc.template import Stage, template_of
from persistence_pipeline.session import configuration
from persistence_pipeline.study.design import StudyDesign, parse_design
from persistence_pipeline.study.policies import Policy, objectives, seed_name, seeds, sources, trained
from persistence_pipeline.study.spec import TABLE

if TYPE_CHECKING:
    from kedro.io import CatalogConfigResolver
    from kedro.pipeline import Pipeline

HEADER = """\
# Written by `make cells` from the study spec, the stages' template and the code; do not edit by hand.
# docs/reproducibility.md explains it.
"""
TABLES = ("policies", "seeds")
"""Parameters that a study's own table defines whole."""
NOT_IN_ALL = ("parameters_scratch.yml", TABLE)
"""Parameter files of which a report needs no more than it gets through its policies."""
OF_KINDS = {"parameters_judging.yml": "emulated", "parameters_published.yml": "published"}
"""Parameter files that say nothing of a study of another kind."""
TAKEN_FROM = {"emulation": "synthesis", "published_training": "published"}
"""Pipelines some of whose nodes another one takes as they are."""
KINDS = {
    "${seeds}": "seed",
    "${stages.models}": "model",
    "${stages.policies}": "policy",
    "${stages.sources}": "arm",
    "${stages.trained}": "cell",
}
"""What a stage stands once for, by what its ``foreach`` runs over."""
IN_MEMORY = {"{default}": {"type": "kedro.io.MemoryDataset"}}


@dataclass(frozen=True)
class Study:
    """One environment's study."""

    conf: Path
    env: str
    policies: Mapping[str, Policy]
    _built: dict[str, Pipeline] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The environment's configuration, as a run with ``--env`` reads it."""
        return configuration(self.conf, self.env)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """All parameters of the environment."""
        return dict(self.config["parameters"])

    @cached_property
    def design(self) -> StudyDesign:
        """What the environment's study stands on."""
        return parse_design(self.parameters["study"])

    @property
    def dvc_file(self) -> Path:
        """The study's ``dvc.yaml``: at the root for the base environment, else beside the environment's spec."""
        return (self.conf.parent if self.env == "base" else self.conf / self.env) / "dvc.yaml"

    def names(self, kind: str) -> list[str]:
        """All sources, their models, seeds, policies, source policies (arm), trained ones (cell) or objectives."""
        names: dict[str, list[str]] = {
            "source": [policy.source for policy in self.policies.values()],
            "model": [policy.checkpoint for policy in sources(self.policies).values()],
            "seed": [seed_name(seed) for seed in seeds(self.policies)],
            "policy": list(self.policies),
            "arm": list(sources(self.policies)),
            "cell": list(trained(self.policies)),
            "objective": objectives(self.policies),
        }
        return list(dict.fromkeys(names[kind]))

    def pipeline(self, step: str) -> Pipeline:
        """A pipeline of its policies and kind."""
        if step not in self._built:
            create = importlib.import_module(f"{PACKAGE}.pipelines.{step}").create_pipeline
            self._built[step] = create(self.policies, self.design)
        return self._built[step]

    @cached_property
    def _resolver(self) -> CatalogConfigResolver:
        from kedro.io import CatalogConfigResolver

        return CatalogConfigResolver(dict(self.config["catalog"]), default_runtime_patterns=IN_MEMORY)

    def entries(self, datasets: Iterable[str]) -> list[dict[str, Any]]:
        """Catalog entries of datasets."""
        return [self._resolver.resolve_pattern(name) for name in datasets]

    def key_of(self, dataset: str) -> str:
        """The name or pattern under which the catalog has a dataset."""
        return dataset if dataset in self._resolver.config else str(self._resolver.match_dataset_pattern(dataset))

    def parameter_files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Files in which the study's parameters are, relative to the project, the base environment's first."""
        for folder in dict.fromkeys((self.conf / "base", self.conf / self.env)):
            for path in sorted((*folder.glob("parameters*.yml"), folder / TABLE)):
                yield str(path.relative_to(self.conf.parent)), yaml.safe_load(path.read_text("utf-8")) or {}


def render_dvc_file(study: Study) -> str:
    """The study's ``dvc.yaml`` as text."""
    template = template_of(study.design)
    code, stands_for = _code_stage(study, template)
    outside = outside_files(study.parameters)
    stages = {
        name: _fill(study, stage, {"CODE": [stands_for[name]], **outside}) for name, stage in template.items()
    }
    place = {} if study.env == "base" else {"wdir": "../.."}
    placed = {name: _placed(stage, place) for name, stage in {**stages, CODE: code}.items()}
    table = TABLE if study.env != "base" else f"{study.conf.name}/base/{TABLE}"
    given = variables(study.conf, study.env, study.parameters, str(study.config["globals"]["data"]))
    return HEADER + yaml.safe_dump({"vars": [table, given], "stages": placed}, sort_keys=False, width=115)


def _placed(stage: Stage, place: Mapping[str, str]) -> Stage:
    """A stage that runs at the root of the project, wherever its file is."""
    return {**stage, "do": _placed(stage["do"], place)} if "do" in stage else {**place, **stage}


def _fill(study: Study, stage: Stage, files: Mapping[str, list[str]]) -> Stage:
    """A stage of the template for this study; ``files`` are what the template has a word for."""
    over = stage.get("foreach")
    one = stage["do"] if over else stage
    parts = {part: _repeat(study, entries) for part, entries in one.items() if part != "cmd"}
    parts["deps"] = [file for dep in parts["deps"] for file in files.get(dep, [dep])]
    parts["params"] = _by_file(study, parts["params"])
    filled = {"cmd": one["cmd"], **{part: entries for part, entries in parts.items() if entries}}
    if not over:
        return filled
    return {"foreach": study.names(KINDS[over]) if over.startswith("<") else over, "do": filled}


def _repeat(study: Study, entries: Iterable[Any]) -> list[Any]:
    """The entries; one that names a kind stands once for each of that kind."""
    repeated = []
    for entry in entries:
        kind = re.search(r"<(\w+)>", entry) if isinstance(entry, str) else None
        repeated += [entry.replace(kind[0], name) for name in study.names(kind[1])] if kind else [entry]
    return repeated


# -- parameters ------------------------------------------------------------------------------------------


def _by_file(study: Study, names: Iterable[str]) -> list[dict[str, list[str] | None]]:
    """Parameters as keys of the files that define them."""
    keys: dict[str, list[str] | None] = {}
    for file, content in study.parameter_files():
        if list(names) == ["ALL"]:
            if not file.endswith(_not_in_all(study.design)):
                keys[file] = None
            keys[f"{study.conf.name}/{study.env}/study.yml"] = None
            continue
        own = file == f"{study.conf.name}/{study.env}/{TABLE}"
        defined = [_defined(study, content, name) for name in names if (name.split(".")[0] in TABLES) <= own]
        found = [key for key in defined if key]
        if found:
            keys[file] = list(dict.fromkeys(found))
    return [{file: found} for file, found in keys.items()]


def _not_in_all(design: StudyDesign) -> tuple[str, ...]:
    kinds = {"emulated": design.emulated, "published": design.pairs == "published"}
    return (*NOT_IN_ALL, *(file for file, kind in OF_KINDS.items() if not kinds[kind]))


def _defined(study: Study, content: Mapping[str, Any], name: str) -> str | None:
    """The key of this parameter in a file; where the file has only some of its kind, the key of them all."""
    general, variable, _ = name.partition(".${")
    if not variable:
        return name if _has(content, name) else None
    kind = {"training": "objective", "sources": "source", "policies": "policy", "seeds": "seed"}[general]
    present = [_has(content, f"{general}.{one}") for one in study.names(kind)]
    return name if all(present) else general if any(present) else None


def _has(content: Mapping[str, Any], name: str) -> bool:
    value: Any = content
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


# -- code and formats ------------------------------------------------------------------------------------


def _code_stage(study: Study, template: Mapping[str, Stage]) -> tuple[Stage, dict[str, str]]:
    """The stage that makes files of all the code, and by stage the file that stands for its code.

    So a study does not list its code again for each of its policies. What stands in which file is the stage's
    ``meta``, at which DVC does not look: the command has a digest of it.
    """
    file = study.dvc_file.relative_to(study.conf.parent)
    folder = "${data}/02_intermediate/code"
    contents: dict[str, Stage] = {}
    stands_for: dict[str, str] = {}
    for name, stage in template.items():
        needs = _code_needs(study, stage)
        same = next((other for other, known in contents.items() if known == needs), name)
        contents[same] = needs
        stands_for[name] = f"{folder}/{same}.txt"
    identity = hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:8]
    files = sorted({path for needs in contents.values() for path in needs["deps"]})
    formats: dict[str, set[str]] = {}
    for entry in chain.from_iterable(needs.get("params", []) for needs in contents.values()):
        for path, keys in entry.items():
            formats.setdefault(path, set()).update(keys)
    made = {
        "cmd": f"python -m persistence_pipeline.dvc.digest {file} {folder} {identity}",
        "deps": files,
        "params": [{path: sorted(keys)} for path, keys in sorted(formats.items())],
        "outs": list(dict.fromkeys(stands_for.values())),
        "meta": contents,
    }
    return {part: content for part, content in made.items() if content}, stands_for


def _code_needs(study: Study, stage: Stage) -> Stage:
    """Code and formats of a stage of the template, as dependencies."""
    over = stage.get("foreach")
    example = study.names(KINDS[over])[0] if over else ""
    command = re.sub(r"\$\{(key|item)\}", example, (stage["do"] if over else stage)["cmd"])
    formats = _formats(study, command)
    return {"deps": [str(path) for path in code_of(study, command)], **({"params": formats} if formats else {})}


def code_of(study: Study, command: str) -> list[Path]:
    """Files of the package that the Kedro slice of a command depends on, relative to the project.

    These are what its node functions, its datasets, their records and validators import, and what wires it.
    """
    nodes = _slice(study, command).nodes
    functions = [(node.func.__module__, node.func.__name__) for node in nodes]
    entries = study.entries({name for node in nodes for name in node.inputs + node.outputs})
    named = {str(entry.get(field, "")) for entry in entries for field in CODE_FIELDS}
    modules = {name.rpartition(".")[0] for name in named if name.startswith(f"{PACKAGE}.")}
    steps = _options(command)["pipelines"].split(",")
    taken = [TAKEN_FROM[step] for step in steps if step in TAKEN_FROM]
    steps += [step for step in taken if {*study.pipeline(step).nodes}.intersection(nodes)]
    wiring = ["pipelines/parts.py", "pipelines/worlds.py", *(f"pipelines/{step}/pipeline.py" for step in steps)]
    found = {*files_behind(functions, modules), *(Path(PACKAGE) / path for path in wiring)}
    return sorted(ROOT.parent.name / path for path in found)


def _formats(study: Study, command: str) -> list[dict[str, list[str]]]:
    """Shared entries of the catalogs (`_table` and the like) that say how the outputs of a command are written."""
    written = {name: study.key_of(name) for name in _slice(study, command).all_outputs()}
    formats = []
    for file in sorted((study.conf / "base").glob("catalog*.yml")):
        catalog = yaml.safe_load(file.read_text("utf-8"))
        entries = study.entries(name for name, key in written.items() if key in catalog)
        shared = {name: entry for name, entry in catalog.items() if name[0] == "_"}
        used = [name for name, shape in shared.items() if any(shape.items() <= entry.items() for entry in entries)]
        formats += [{str(file.relative_to(study.conf.parent)): used}] if used else []
    return formats


def _options(command: str) -> dict[str, str]:
    """Options of a `kedro run --name=value ...`."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in shlex.split(command)[2:])


def _slice(study: Study, command: str) -> Pipeline:
    from kedro.pipeline import Pipeline

    options = _options(command)
    whole = Pipeline([study.pipeline(step) for step in options["pipelines"].split(",")])
    chosen = {name: [options[name]] if name in options else None for name in ("namespaces", "tags", "nodes")}
    return whole.filter(node_namespaces=chosen["namespaces"], tags=chosen["tags"], node_names=chosen["nodes"])
