"""A study of the default size whose agents are scripts, its report, and a real browser to open it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.browsers import Open

from noisy_judge import LENIENT
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.judging.calibrated import calibrate
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.pipelines.frontier import nodes as frontier
from persistence_pipeline.pipelines.judging.nodes import write_judged_report
from persistence_pipeline.pipelines.reporting import nodes as reporting
from persistence_pipeline.pipelines.tool_world import find_attainable, show_trajectories
from persistence_pipeline.preferences.audit import audit_pairs
from persistence_pipeline.preferences.export import to_trl
from persistence_pipeline.preferences.pairing import pair_candidates
from persistence_pipeline.records import Message, Sampled, ToolCall, Trajectory
from persistence_pipeline.report.browser import ReportSettings
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.study import Policy
from persistence_pipeline.study.spec import expand, parse_spec
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import score
from persistence_pipeline.world.splits import WorldSettings, generate_cases

ROOT = Path(__file__).resolve().parents[2]
ROLLOUT = RolloutSettings()
BEHAVIOURS = {
    "source": ("clumsy", "careless"),
    "safety": ("cautious", "refusing"),
    "helpfulness": ("careless", "careless"),
    "both": ("careful", "careless"),
    "safety>helpfulness": ("careful", "clumsy"),
    "helpfulness>safety": ("asking", "careless"),
}
"""What each cell does in its two samples."""
CHANGES = {"chosen": 0.3, "rejected": -2.0}
"""By side, what the invented training did to its log-probability."""
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "</script><svg onload=window.hacked=3>",
    "{{ 7 * 7 }} {% raw %} ${window.hacked = 4}",
    "\u2028]]><!-- <style>body{display:none}</style>",
)


@dataclass(frozen=True)
class Study:
    """A finished study: its parts and its page."""

    cases: list[Case]
    scores: pd.DataFrame
    summary: dict[str, Any]
    figures: dict[str, Any]
    browser: dict[str, Any]
    taught: dict[str, Any]
    page: Path


def _policies() -> dict[str, Policy]:
    spec = {
        "sources": ["llama"],
        "factors": {"beta": [0.1]},
        "seeds": [0],
        "orderings": [o for o in BEHAVIOURS if o != "source"],
    }
    return expand(parse_spec(spec, "here"), ["llama"])


POLICIES = {"policies": {name: policy.model_dump() for name, policy in _policies().items()}}
"""As parameters."""


def _play(cases: list[Case], name: str, behaviours: tuple[str, ...]) -> list[Trajectory]:
    played = []
    for sample, behaviour in enumerate(behaviours):
        episodes = [Episode(case, policy=name, seed=0, sample=sample) for case in cases]
        played += [episode.trajectory() for episode in ScriptedPolicy(behaviour).play(episodes)]
    return sorted(played, key=lambda t: (t.case_id, t.sample))


def _with_hostile_text(trajectories: list[Trajectory]) -> list[Trajectory]:
    """The first trajectories say and see what would do harm if it were read as markup."""
    changed = list(trajectories)
    for index, text in enumerate(HOSTILE):
        messages = list(changed[index].messages)
        call = ToolCall(name=text, arguments={"target": text})
        messages[1:1] = [
            Message(role="assistant", content=text),
            Message(role="tool", content=text),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content=text),
        ]
        changed[index] = changed[index].model_copy(update={"messages": tuple(messages), "effects": ()})
    return changed


def build_study(target: Path, world: WorldSettings) -> Study:
    """Play, grade, analyse and report, by the functions that the pipelines call."""
    cases = [case for case in generate_cases(world, 0) if case.split != "train"]
    # The case that its trajectories are of, too. Its id sorts first.
    cases = sorted(cases, key=lambda case: case.case_id)
    cases[0] = cases[0].model_copy(update={"instruction": HOSTILE[0]})
    policies = _policies()
    played = {name: _play(cases, name, BEHAVIOURS[policy.ordering]) for name, policy in policies.items()}
    scores = pd.concat(
        [score(cases, played[name], policy.provenance()) for name, policy in policies.items()], ignore_index=True
    )
    played["llama_s0"] = _with_hostile_text(played["llama_s0"])
    scores.loc[scores.index[:5], "reasons"] = list(HOSTILE)
    settings = AnalysisSettings(n_draws=200)
    grid = frontier.summarise_grid(scores)
    analysis = frontier.analyse(scores, grid, find_attainable(settings, ROLLOUT, cases), settings)
    summary, logs = _summary(analysis, scores, [name for name in policies if name != "llama_s0"])
    drawn = reporting.draw_figures(summary, scores, **{f"training_log__{n}": log for n, log in logs.items()})
    figures = dict(zip(reporting.FIGURES, drawn, strict=True))
    trajectories = {f"trajectories__{name}": group for name, group in played.items()}
    browser = show_trajectories(scores, ReportSettings(), cases__seed0=cases, **trajectories)
    lessons = {"cases__seed0": cases, **_lessons(scores, played["llama_s0"])}
    taught = reporting.collect_pairs(summary, ReportSettings(), **lessons)
    page = target / "report.html"
    named = {f"figure_{name}": figure for name, figure in figures.items()}
    page.write_text(reporting.write_report(summary, scores, browser, taught, **named), encoding="utf-8")
    return Study(cases, scores, summary, figures, browser, taught, page)


def _lessons(scores: pd.DataFrame, trajectories: list[Trajectory]) -> dict[str, Any]:
    """Pairs of both objectives from what the source did in the tests; tokens are known of every second turn."""
    pool = scores[scores["cell"] == "llama_s0"]
    parts: dict[str, Any] = {"candidate_scores__llama_s0": pool, "candidates__llama_s0": trajectories}
    known = [_with_tokens(trajectory) for trajectory in trajectories]
    for objective in ("safety", "helpfulness"):
        pairs, _ = pair_candidates(pool, objective, min_gap=1, min_chosen=1, max_per_case=2, seed=0)
        parts[f"pairs__llama_s0__{objective}"] = to_trl(pairs, known)
    return parts


def _with_tokens(trajectory: Trajectory) -> Trajectory:
    messages = list(trajectory.messages)
    for at in range(1, len(messages), 4):
        if messages[at].role == "assistant":
            messages[at] = messages[at].model_copy(update={"sampled": Sampled(ids=(1, 2, 3), tokenizer="t")})
    return trajectory.model_copy(update={"messages": tuple(messages)})


def _summary(
    analysis: dict[str, Any], scores: pd.DataFrame, cells: list[str]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The summary, with audits of pairs made from the scores and with invented training logs."""
    pool = scores[scores["cell"] == "llama_s0"]
    pairs, _ = pair_candidates(pool, "safety", min_gap=1, min_chosen=1, max_per_case=2, seed=0)
    log = pd.DataFrame({"step": range(1, 41)})
    for side, change in CHANGES.items():
        log[f"rewards_{side}"] = [0.1 * change * step / 40 for step in log["step"]]
    numbers = ("first_loss", "last_loss", "last_accuracy", "last_margin")
    report: dict[str, Any] = {"objective": "safety", "loss": "sigmoid", "reference": "previous", "beta": 0.1}
    report |= {"seed": 0, "n_pairs": 10, "n_truncated": 0, "n_steps": 40, **dict.fromkeys(numbers, 0.5)}
    for side, change in CHANGES.items():
        ends = {"before": -2.0, "after": -2.0 + change, "change": change}
        report |= {f"{side}_logp_{when}": value for when, value in ends.items()}
    parts = {f"training_report__{name}": report for name in cells}
    can = {"solved": 0.25, "n": 8, "probability": 0.5, "demonstrated": 0.75}
    whole = {"source": "llama", "seed": 0, **can, "invalid_rate": 0.01, "kinds": [{"kind": "look", **can}]}
    parts["competence__llama_s0"] = whole
    summary = reporting.summarise(
        analysis, scores, POLICIES, pair_audit__llama_s0=audit_pairs(pool, [pairs]), **parts
    )
    return summary, dict.fromkeys(cells, log)


@pytest.fixture(scope="session")
def scripted_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """As many trajectories as the default study has."""
    parameters = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text("utf-8"))
    return build_study(tmp_path_factory.mktemp("report"), WorldSettings.model_validate(parameters["world"]))


def judge_study(study: Study) -> dict[str, Any]:
    """The calibration of a judge that grades up, on the study's own trajectories."""
    rng = np.random.default_rng(0)
    verdicts = {}
    for metric in ("safety", "helpfulness"):
        truth = study.scores[metric].to_numpy(int)
        verdicts[metric] = (rng.random(len(truth)) > LENIENT.cumsum(0)[:, truth]).sum(0).astype(float)
    judged = study.scores.assign(evaluator="lenient", **verdicts)
    judgements = judged.melt(["trajectory_id", "evaluator"], list(verdicts), "metric", "score")
    judgements.loc[(judged["split"] == "test_iid").idxmax(), "score"] = np.nan  # of safety
    splits = {"splits": ["test_iid", "test_combination"], "calibrate_on": ["test_iid"]}
    settings = JudgingSettings.model_validate({"judges": {}, "journals": "", "n_draws": 100, **splits})
    return calibrate(study.scores, judged, judgements, settings, study.summary["frontier"]["split"])


@pytest.fixture(scope="session")
def calibration(scripted_study: Study) -> dict[str, Any]:
    """A judge of the study against its state graders."""
    return judge_study(scripted_study)


@pytest.fixture(scope="session")
def judged_page(scripted_study: Study, calibration: dict[str, Any]) -> Path:
    """The study's page with a section on a judge."""
    page = scripted_study.page.with_name("report_with_judges.html")
    named = {f"figure_{name}": figure for name, figure in scripted_study.figures.items()}
    study = scripted_study
    parts = (study.summary, study.scores, study.browser, study.taught)
    page.write_text(write_judged_report(*parts, calibration, **named), encoding="utf-8")
    return page


@pytest.fixture
def open_page(open_file: Open, scripted_study: Study) -> Open:
    """Opens the study's page at an address."""

    def open_at(address: str = "", file: Path = scripted_study.page, **options: Any) -> Any:
        return open_file(file, address, **options)

    return open_at
