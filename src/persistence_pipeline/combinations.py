"""Parameters that contradict each other, each right by itself: found before anything runs, not hours later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from persistence_pipeline.records import Split
from persistence_pipeline.strict import Path as Place
from persistence_pipeline.strict import SettingError, hint, parse
from persistence_pipeline.study import check_cells, seed_name, stage_row
from persistence_pipeline.study.cells import StudyError
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.launch import read_launch
from persistence_pipeline.training.settings import FACTORS, StageConfig, with_factors
from persistence_pipeline.world.splits import all_groups, room

if TYPE_CHECKING:
    from persistence_pipeline.parameters import Parameters

Faults = Iterator[tuple[Place, str]]
"""What a cell adds to the settings of its stage."""
LONGEST_PROMPT = 12
"""Tokens of the longest compact request with what opens and closes it."""
AGAIN = ": the tables are written from study.yml by `make cells`"


def check_together(parameters: Parameters) -> None:
    """See that parameters fit each other.

    Raises:
        SettingError: naming one that does not.
    """
    for check in (_cells, _tables, _stages, _sources, _cases, _pairs, _judges):
        for place, message in check(parameters):
            raise SettingError(place, message)


def _cells(parameters: Parameters) -> Faults:
    """The table of cells by itself, and against the sources."""
    cells = parameters.own_cells()
    if not cells:
        yield ("cells",), f"there are none{AGAIN}"
    for name, cell in cells.items():
        if cell.source not in parameters.sources:
            yield (
                ("cells", name, "source"),
                f"no source is named {cell.source!r}; {hint(cell.source, parameters.sources)}",
            )
        if name != cell.name:
            yield ("cells", name), f"its factors give it the name {cell.name}{AGAIN}"
    try:
        check_cells(cells)
    except StudyError as error:
        yield ("cells",), str(error)


def _tables(parameters: Parameters) -> Faults:
    """Arms and case sets are named by what they are, and there are all that the cells stand on."""
    for name, arm in parameters.arms.items():
        if name != arm.name:
            yield (
                ("arms", name),
                f"its source and seed give it the name {arm.name}{AGAIN}",
            )
    for name, case_set in parameters.seeds.items():
        if name != seed_name(case_set.seed):
            yield ("seeds", name), f"its seed gives it the name {seed_name(case_set.seed)}{AGAIN}"
    for name, cell in parameters.own_cells().items():
        row = parameters.stages.get(name)
        if row is not None and row != stage_row(cell):
            yield ("stages", name), f"is not what its cell says{AGAIN}"
        if cell.arm not in parameters.arms:
            yield ("arms",), f"there is no {cell.arm}, on which cell {name} stands{AGAIN}"
        if seed_name(cell.seed) not in parameters.seeds:
            yield (
                ("seeds",),
                f"there is no {seed_name(cell.seed)}, on which cell {name} stands{AGAIN}",
            )


def _stages(parameters: Parameters) -> Faults:
    """The settings of each cell's stage with the factors of the cell."""
    launch_of = cache(read_launch)  # the cells of an objective share one file
    for name, cell in parameters.own_cells().items():
        settings = getattr(parameters.training, cell.objective)
        group = ("training", cell.objective)
        try:
            config = parse(StageConfig, with_factors(settings, cell))
            if config.launch is not None:
                launch_of(Path(config.launch)).divide(config)
        except SettingError as refused:
            of_cell = refused.path[:1] and refused.path[0] in FACTORS
            yield (("cells", name) if of_cell else group) + refused.path, f"{refused.message} (cell {name})"
        except StageError as fault:
            yield (*group, "launch"), str(fault)
        model = parameters.sources[cell.source].model
        if model is not None and settings.max_length > model.context:
            yield (
                (*group, "max_length"),
                f"{settings.max_length} tokens, and the context of {cell.source} has {model.context}",
            )


def _sources(parameters: Parameters) -> Faults:
    """Sources that are used can be had, and can play what the study stands on."""
    for source in dict.fromkeys(cell.source for cell in parameters.own_cells().values()):
        settings, place = parameters.sources[source], ("sources", source)
        if settings.pretrained is not None:
            named = settings.pretrained.model
            if named.startswith(("/", "./", "../", "~")) and not Path(named).expanduser().is_dir():
                yield (*place, "pretrained", "model"), f"there is no directory {named}"
        elif parameters.study.pairs == "published" or (parameters.study.emulated and _plays_itself(parameters)):
            yield (
                (*place, "model"),
                "a model trained from scratch knows the tool world's words alone: a study on ToolEmu's cases or "
                "on the published pairs takes a `pretrained` source (conf/gpu)",
            )
        elif (
            parameters.world.phrasing == "natural" and not parameters.study.emulated and _plays_itself(parameters)
        ):
            yield (
                ("world", "phrasing"),
                f"source {source} is trained from scratch and knows the compact phrasing alone: natural takes a "
                "`pretrained` source (conf/gpu)",
            )
        elif settings.model is not None and _plays_itself(parameters):
            room_for = min(settings.model.context, parameters.rollout.max_length or settings.model.context)
            if room_for <= LONGEST_PROMPT:
                yield (
                    (*place, "model"),
                    f"an episode of {room_for} tokens has no room for a prompt of {LONGEST_PROMPT}",
                )
    n_twins = parameters.warm_start.twins_per_group
    fewest = min(room(group, study=False) for group in all_groups())
    if n_twins > fewest:
        yield ("warm_start", "twins_per_group"), f"{n_twins} twin pairs, of which there are {fewest}"


def _plays_itself(parameters: Parameters) -> bool:
    """Whether a checkpoint plays here, rather than behind a server."""
    candidates = parameters.candidates
    made_here = parameters.study.pairs == "candidates" and candidates.on_policy and candidates.served is None
    return made_here or parameters.rollout.served is None


def _cases(parameters: Parameters) -> Faults:
    """There are cases to train on and to measure on."""
    if parameters.study.emulated:  # its files are read at once, see check_emulated_study
        return
    world, split = parameters.world, parameters.analysis.split
    if not world.n_cases(split):
        yield ("analysis", "split"), _no_cases(parameters, split)
    if parameters.study.pairs == "candidates" and not world.n_cases("train"):
        yield ("world", "twins_per_group"), _no_cases(parameters, "train")
    if parameters.judging.judges:
        for place in ("splits", "calibrate_on"):
            for one in getattr(parameters.judging, place):
                if one == "train":
                    yield ("judging", place), "no checkpoint plays train, so that nothing of it can be judged"
                if not world.n_cases(one):
                    yield ("judging", place), _no_cases(parameters, one)


def _no_cases(parameters: Parameters, split: Split) -> str:
    asked = parameters.world.twins_per_group.get(split, 0)
    held_out = "world.held_out_combinations and held_out_domain leave no template group in it"
    reason = held_out if asked else "world.twins_per_group has none"
    return f"there is no case of {split}: {reason}"


def _pairs(parameters: Parameters) -> Faults:
    """Candidates that differ, by players that can be told apart."""
    candidates = parameters.candidates
    players = [*candidates.pool, *candidates.scripted]
    for name in players:
        if players.count(name) > 1 or name in parameters.arms:
            yield (
                ("candidates", "pool" if name in candidates.pool else "scripted"),
                f"two players are named {name}",
            )
    if parameters.study.pairs == "published":
        return
    own = 0 if not candidates.on_policy else candidates.samples
    if candidates.temperature == 0 and candidates.served is None:
        own = min(own, 1)
    if own + candidates.samples * len(candidates.pool) + len(candidates.scripted) < 2:
        field = "temperature" if candidates.samples > 1 and candidates.on_policy else "samples"
        yield (
            ("candidates", field),
            "a pair compares two episodes of a case, and each case is played in one way only: raise temperature "
            "or samples, or name models in pool or behaviours in scripted",
        )


def _judges(parameters: Parameters) -> Faults:
    """The judge that is named exists."""
    judging = parameters.judging
    if judging.pairs_by is not None and judging.pairs_by not in judging.judges:
        known = hint(judging.pairs_by, judging.judges) if judging.judges else "none is named under judging.judges"
        yield ("judging", "pairs_by"), f"no judge is named {judging.pairs_by!r}; {known}"
