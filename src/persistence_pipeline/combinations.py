"""Parameters that contradict each other, each right by itself: found before anything runs, not hours later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from persistence_pipeline.parameters import Parameters
from persistence_pipeline.records import Split
from persistence_pipeline.strict import Path as Place
from persistence_pipeline.strict import SettingError, dotted, hint, parse
from persistence_pipeline.study import StudyError, seed_name
from persistence_pipeline.study.policies import check_policies, stage_tables, trained
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.launch import read_launch
from persistence_pipeline.training.settings import StageConfig, with_factors
from persistence_pipeline.world.checks import longest_episode
from persistence_pipeline.world.splits import room

Faults = Iterator[tuple[Place, str]]
AGAIN = ": the tables are written from study.yml by `kedro cells`"


def check_together(parameters: Parameters) -> None:
    """See that parameters fit each other.

    Raises:
        SettingError: naming one that does not.
    """
    for check in (_policies, _tables, _stages, _sources, _cases, _pairs, _judges, _kinds_of_sources):
        for place, message in check(parameters):
            raise SettingError(place, message)


def _policies(parameters: Parameters) -> Faults:
    """The table of policies by itself, and against the sources."""
    policies = parameters.own_policies()
    if not trained(policies):
        yield ("policies",), f"there are none that a stage trains{AGAIN}"
    for name, policy in policies.items():
        if policy.source not in parameters.sources:
            yield (
                ("policies", name, "source"),
                f"no source is named {policy.source!r}; {hint(policy.source, parameters.sources)}",
            )
        elif not policy.trained and policy.per_seed != parameters.sources[policy.source].per_seed:
            yield ("policies", name, "per_seed"), f"is not what its source says{AGAIN}"
        if name != policy.name:
            yield ("policies", name), f"its factors give it the name {policy.name}{AGAIN}"
    try:
        check_policies(policies)
    except StudyError as error:
        yield ("policies",), str(error)


def _kinds_of_sources(parameters: Parameters) -> Faults:
    """What the table of policies says of a source's kind; last, for faults of the source come before."""
    for name, policy in parameters.own_policies().items():
        pretrained = parameters.sources[policy.source].pretrained is not None
        if not policy.trained and policy.pretrained != pretrained:
            yield ("policies", name, "pretrained"), f"is not what its source says{AGAIN}"


def _tables(parameters: Parameters) -> Faults:
    """Case sets are named by what they are, and there are all that policies act on; stages are those of DVC."""
    for name, case_set in parameters.seeds.items():
        if name != seed_name(case_set.seed):
            yield ("seeds", name), f"its seed gives it the name {seed_name(case_set.seed)}{AGAIN}"
    policies = parameters.own_policies()
    for name, policy in policies.items():
        if seed_name(policy.seed) not in parameters.seeds:
            yield (
                ("seeds",),
                f"there is no {seed_name(policy.seed)}, on which policy {name} acts{AGAIN}",
            )
    for kind, rows in stage_tables(policies).items():
        there = parameters.stages.get(kind, {})
        for name, row in rows.items():
            if there.get(name) != row:
                yield ("stages", kind, name), f"is not what its policy says{AGAIN}"


def _stages(parameters: Parameters) -> Faults:
    """The settings of each policy's last stage with the factors of the policy."""
    launch_of = cache(read_launch)  # the policies of an objective share one file
    for name, policy in trained(parameters.own_policies()).items():
        objective = str(policy.objective)
        settings = getattr(parameters.training, objective)
        group = ("training", objective)
        try:
            config = parse(StageConfig, with_factors(settings, policy))
            if config.launch is not None:
                launch_of(Path(config.launch)).divide(config)
        except SettingError as refused:
            setting = dotted(refused.path)
            kind = next((kind for kind in ("factors", "settings") if setting in getattr(policy, kind)), None)
            where = ("policies", name, kind, setting) if kind else (*group, *refused.path)
            yield where, f"{refused.message} (policy {name})"
        except StageError as fault:
            yield (*group, "launch"), str(fault)
        model = parameters.sources[policy.source].model
        if model is not None and settings.max_length > model.context:
            yield (
                (*group, "max_length"),
                f"{settings.max_length} tokens, and the context of {policy.source} has {model.context}",
            )


def _sources(parameters: Parameters) -> Faults:
    """Sources that are used can be had, and can play what the study stands on."""
    for source in dict.fromkeys(policy.source for policy in parameters.own_policies().values()):
        settings, place = parameters.sources[source], ("sources", source)
        if settings.pretrained is not None:
            named = settings.pretrained.model
            local = named.startswith(("/", "./", "../", "~")) or named.endswith(".gguf")
            if local and not Path(named).expanduser().exists():
                kind = "file" if named.endswith(".gguf") else "directory"
                yield (*place, "pretrained", "model"), f"there is no {kind} {named}"
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
            needed = {group: longest_episode(group) for group in parameters.world.all_groups()}
            longest = max(needed, key=lambda group: needed[group])
            if room_for < needed[longest]:
                yield (
                    (*place, "model", "context"),
                    f"an episode of {longest} takes {needed[longest]} tokens, and there is room for {room_for}: "
                    "give the model more, or leave that kind out of world.kinds",
                )
    fewest = min(room(group, study=False) for group in parameters.world.all_groups())
    asked: dict[Place, int] = {("warm_start",): parameters.warm_start.twins_per_group}
    for source, settings in parameters.sources.items():
        if settings.warm_start is not None:
            asked["sources", source, "warm_start"] = settings.warm_start.twins_per_group
    for group, n_twins in asked.items():
        if n_twins > fewest:
            yield (*group, "twins_per_group"), f"{n_twins} twin pairs, of which there are {fewest}"


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
    players = [*candidates.models, *candidates.scripted]
    for name in players:
        if players.count(name) > 1 or name in parameters.policies:
            yield (
                ("candidates", "models" if name in candidates.models else "scripted"),
                f"two players are named {name}",
            )
    if parameters.study.pairs == "published":
        return
    own = 0 if not candidates.on_policy else candidates.samples
    if candidates.temperature == 0 and candidates.served is None:
        own = min(own, 1)
    if own + candidates.samples * len(candidates.models) + len(candidates.scripted) < 2:
        field = "temperature" if candidates.samples > 1 and candidates.on_policy else "samples"
        yield (
            ("candidates", field),
            "a pair compares two episodes of a case, and each case is played in one way only: raise temperature "
            "or samples, or name models, or behaviours in scripted",
        )


def _judges(parameters: Parameters) -> Faults:
    """The judge that is named exists."""
    judging = parameters.judging
    if judging.pairs_by is not None and judging.pairs_by not in judging.judges:
        known = hint(judging.pairs_by, judging.judges) if judging.judges else "none is named under judging.judges"
        yield ("judging", "pairs_by"), f"no judge is named {judging.pairs_by!r}; {known}"
