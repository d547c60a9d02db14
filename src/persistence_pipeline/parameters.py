"""All groups of parameters as one tree; each group's settings stand in its own room."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.judging.cost import PlanSettings
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.preferences.settings import PairingSettings
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.published.training import PublishedTraining
from persistence_pipeline.report.browser import ReportSettings
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.runners.settings import RaySettings
from persistence_pipeline.strict import Strict
from persistence_pipeline.study import CaseSet, Policy, StudyDesign
from persistence_pipeline.study.registration import Registration
from persistence_pipeline.toolemu.settings import EmulationSettings
from persistence_pipeline.training.settings import TrainingSettings
from persistence_pipeline.training.source import SourceSettings
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.splits import WorldSettings


class Parameters(Strict):
    """Every parameter that there is."""

    environment: str = "base"
    """Name of the study's environment; the session says it, no file."""
    study: StudyDesign
    threads: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Of numerical libraries; none: as they like."""
    offline: bool = False
    """Refuse the Hugging Face hub."""
    scratch: str = Field(min_length=1)
    """Where trainers keep the state from which a killed run continues."""
    world: WorldSettings
    sources: dict[str, SourceSettings]
    warm_start: WarmStartSettings
    candidates: CandidateSettings
    rollout: RolloutSettings
    pairing: PairingSettings
    training: TrainingSettings
    analysis: AnalysisSettings
    report: ReportSettings
    judging: JudgingSettings
    emulation: EmulationSettings
    plan: PlanSettings
    published: PublishedSettings
    published_training: PublishedTraining
    ray: RaySettings | None = None
    registered: Registration | None = None
    """What the study was registered to answer; from its spec."""
    seeds: dict[str, CaseSet]
    policies: dict[str, Policy | None]
    """None: a policy of the base environment that this study does not have."""
    stages: dict[str, dict[str, dict[str, str]]]
    """What DVC repeats its stages over; Kedro reads none of it."""

    def own_policies(self) -> dict[str, Policy]:
        """The policies of the study."""
        return {name: policy for name, policy in self.policies.items() if policy is not None}


class Globals(Strict):
    """Values that configuration files may refer to."""

    data: str = Field(min_length=1)
    """Where the study keeps its data."""
    dvc: bool = True
    """Whether ``kedro cells`` writes a ``dvc.yaml`` for it."""
