"""The node that plans; it asks no server, and loads no weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.headline import graded_on
from persistence_pipeline.analysis.planning import PlanningError, questions
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.judging.cost import PlanSettings, asked, assumed, estimate
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.planned import Planned
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.strict import SettingError, parse
from persistence_pipeline.study import Policy, StudyDesign, parse_policies
from persistence_pipeline.toolemu.settings import EmulationSettings
from persistence_pipeline.training.forecast import Load, forecast
from persistence_pipeline.training.settings import TrainingSettings
from persistence_pipeline.training.source import SourceSettings
from persistence_pipeline.world.splits import WorldSettings, generate_cases

LEFT = ("of", "quantity", "unit")


def plan_study(
    world: WorldSettings,
    candidates: CandidateSettings,
    rollout: RolloutSettings,
    judging: JudgingSettings,
    emulation: EmulationSettings,
    analysis: AnalysisSettings,
    plan: PlanSettings,
    training: TrainingSettings,
    sources: dict[str, Any],
    scratch: str,
    policies: dict[str, Any],
    design: StudyDesign,
) -> pd.DataFrame:
    """What the study will take, and what it could see: one table, ``what, quantity, value, unit``; printed.

    A further kind of row is a function that returns ``Planned`` rows, and a line in the list below.
    """
    own = parse_policies(policies)
    rows = [
        *here(world, candidates, rollout, plan, training, sources, Path(scratch), own, design),
        *asked(estimate(world, candidates, rollout, judging, emulation, plan, own, design)),
        *seeds(plan, analysis),
    ]
    _show(rows, assumed(plan))
    return pd.DataFrame(rows, columns=list(Planned._fields)).astype({"value": float})


def here(
    world: WorldSettings,
    candidates: CandidateSettings,
    rollout: RolloutSettings,
    plan: PlanSettings,
    training: TrainingSettings,
    sources: Mapping[str, Any],
    scratch: Path,
    policies: Mapping[str, Policy],
    design: StudyDesign,
) -> list[Planned]:
    """Time and memory of the steps on this machine, of pretrained sources in the tool world; none of others."""
    names = sorted({policy.source for policy in policies.values() if policy.pretrained})
    if design.emulated or not names:
        return []
    cases = generate_cases(world, min(policy.seed for policy in policies.values()))
    train = [case for case in cases if case.split == "train"]
    rows = []
    for name in names:
        source = parse(SourceSettings, sources[name])
        chains = Counter(policy.seed for policy in policies.values() if policy.source == name)
        one = [policy for policy in policies.values() if policy.source == name and policy.seed == min(chains)]
        load = Load(
            train=train,
            tests=[case for case in cases if case.split != "train"],
            candidates=candidates if design.pairs == "candidates" and candidates.on_policy else None,
            rollout=rollout,
            training=training,
            objectives=[policy.objective for policy in one if policy.objective is not None],
            pairs=round(plan.pairs_per_case * len(train)),
            chains=len(chains),
            scratch=scratch,
        )
        played: dict[str, float] = {plan.behaviour: 1.0}
        shares = source.warm_start.behaviours if source.warm_start else played
        rows += forecast(name, source, shares, load)
    return rows


def seeds(plan: PlanSettings, analysis: AnalysisSettings) -> list[Planned]:
    """Seeds and cases that the questions of ``plan`` need, from its pilot; none without a pilot.

    Raises:
        SettingError: the pilot cannot be read, or cannot say.
    """
    if plan.pilot is None:
        return []
    try:
        scores = graded_on(pd.read_parquet(Path(plan.pilot).expanduser()), analysis.split)
        found = persistence_summary(draw_means(scores, analysis.n_draws, analysis.seed), analysis.margin)
        return questions(found, plan.order_effect, plan.persistence_difference, plan.power)
    except (OSError, KeyError, ValueError) as error:
        kind = "" if isinstance(error, PlanningError) else "not the scores.parquet of a study: "
        raise SettingError(("plan", "pilot"), f"{plan.pilot}: {kind}{error}") from None


def _show(rows: Sequence[Planned], caption: str) -> None:
    from persistence_pipeline.report.kit.tables import table_console

    console = table_console()
    console.print(plan_table(rows, caption, console.width))


def plan_table(rows: Sequence[Planned], caption: str, width: int) -> Any:
    """The plan for a terminal of this many columns; what a row is of stands once."""
    from persistence_pipeline.report.kit.tables import rich_table

    header, shown, before = ["of", "quantity", "value", "unit"], [], ""
    for row in rows:
        shown.append(["" if row.what == before else row.what, row.quantity, _written(row.value), row.unit])
        before = row.what
    table = rich_table("What the study will take, and what it could see", (header, shown), width, left=LEFT)
    table.caption, table.caption_justify = caption, "left"
    return table


def _written(value: float | None) -> str:
    """Counts whole, with commas; other numbers with three digits."""
    from persistence_pipeline.report.kit.text import number

    whole = value is not None and value == int(value)
    return number(value, ",.0f" if whole else ",.2f" if value is not None and value >= 1 else ".3f")
