"""Judges trajectories with a served model: requests, verdicts, score tables.

Every trajectory gets a verdict for every metric and replicate, or a row that says why not. What is asked of the
server and how patiently is in ``serving``; the prompts are in ``prompts/``.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from persistence_pipeline.judging.briefing import Briefing
from persistence_pipeline.judging.parsing import ANSWER_SCHEMA, Verdict, read_verdict
from persistence_pipeline.judging.settings import JudgeSettings
from persistence_pipeline.llm_client import (
    ChatClient,
    ChatReply,
    ChatRequest,
    ContextTooLongError,
    RetriesExhaustedError,
    ServingError,
)
from persistence_pipeline.llm_client.prompts import render
from persistence_pipeline.llm_client.untrusted import quoted, quoted_messages
from persistence_pipeline.records import METRICS, Trajectory
from persistence_pipeline.world.scoring import trajectory_table

logger = logging.getLogger(__name__)

ENDINGS = {
    "finish": "the agent ended it",
    "asked": "the agent asked the user, who did not answer",
    "max_turns": "the agent had used up its turns",
    "context": "the conversation had filled the agent's memory",
    "token_limit": "the agent had used up its words",
    "error": "a fault",
}


@dataclass(frozen=True)
class Question:
    """One thing that a judge is asked."""

    trajectory_id: str
    metric: str
    replicate: int
    request: ChatRequest


def questions(
    trajectories: Iterable[Trajectory], briefings: Mapping[str, Briefing], settings: JudgeSettings
) -> Iterator[Question]:
    """Everything a judge is asked about trajectories; broken episodes are left out.

    Args:
        trajectories: What is judged.
        briefings: By case id.
        settings: The judge.

    Raises:
        ValueError: a trajectory whose case has no briefing.
    """
    for trajectory in trajectories:
        if trajectory.case_id not in briefings:
            raise ValueError(
                f"trajectory {trajectory.trajectory_id}: no case {trajectory.case_id!r} among the cases"
            )
        if trajectory.stop_reason == "error":
            continue
        for metric in METRICS:
            messages = _prompt(trajectory, briefings[trajectory.case_id], metric, settings)
            for replicate in range(settings.replicates):
                request = ChatRequest(
                    messages,
                    max_tokens=settings.max_tokens,
                    temperature=settings.temperature,
                    seed=replicate,
                    schema=ANSWER_SCHEMA,
                    replicate=trajectory.trajectory_id if settings.temperature else "",
                    about=trajectory.case_id,
                )
                yield Question(trajectory.trajectory_id, metric, replicate, request)


def _prompt(
    trajectory: Trajectory, briefing: Briefing, metric: str, settings: JudgeSettings
) -> list[dict[str, str]]:
    changes = None
    if settings.evidence == "effects":
        changes = "\n".join(quoted(effect.model_dump(exclude={"knew"})) for effect in trajectory.effects)
    shown = render(
        __package__,
        "user",
        metric=metric,
        briefing=briefing,
        transcript=quoted_messages(trajectory.messages),
        ending=ENDINGS[trajectory.stop_reason],
        changes=changes,
    )
    return [
        {"role": "system", "content": render(__package__, "system", metric=metric)},
        {"role": "user", "content": shown},
    ]


def judge(
    trajectories: Sequence[Trajectory],
    briefings: Mapping[str, Briefing],
    settings: JudgeSettings,
    client: ChatClient,
) -> pd.DataFrame:
    """Ask a judge about every trajectory.

    Returns:
        One row per trajectory, metric and replicate, in that order: ``trajectory_id, metric, replicate, score``
        (NaN with a ``missing_reason``), ``reason, prompt_tokens, completion_tokens``.

    Raises:
        ServingError: the server fails; what was answered so far is in the client's journal.
    """
    asked = list(questions(trajectories, briefings, settings))
    rows = [_broken(t, metric) for t in trajectories if t.stop_reason == "error" for metric in METRICS]
    rows += [_row(asked[index], outcome) for index, outcome in _answers(asked, settings, client)]
    order = {trajectory.trajectory_id: index for index, trajectory in enumerate(trajectories)}
    rows.sort(key=lambda row: (order[row["trajectory_id"]], METRICS.index(row["metric"]), row["replicate"]))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.astype({"score": float, "replicate": int, "prompt_tokens": int, "completion_tokens": int})


_COLUMNS = [
    "trajectory_id",
    "metric",
    "replicate",
    "score",
    "reason",
    "missing_reason",
    "prompt_tokens",
    "completion_tokens",
]


def _answers(
    asked: Sequence[Question], settings: JudgeSettings, client: ChatClient
) -> Iterator[tuple[int, ChatReply | ServingError]]:
    """Outcomes by the index of their question; an outage is one of them only where the settings say so.

    Questions that are equal in all, as those about equal transcripts at temperature 0, are asked once.
    """
    from tqdm import tqdm

    soft: tuple[type[ServingError], ...] = (RetriesExhaustedError,) if settings.on_outage == "missing" else ()
    equal = group_equal(asked, client)
    outcomes = client.ask_many((asked[indexes[0]].request for indexes in equal), soft)
    for group, outcome in tqdm(outcomes, total=len(equal), desc=f"judge {settings.server.model}", mininterval=1):
        yield from ((index, outcome) for index in equal[group])
    usage = client.usage
    logger.info(
        "%d judgements: %d requests, %d replies from the journal", len(asked), usage.requests, usage.from_journal
    )


def group_equal(asked: Sequence[Question], client: ChatClient) -> list[list[int]]:
    """Indexes of questions, those with equal requests together."""
    groups: dict[str, list[int]] = {}
    for index, question in enumerate(asked):
        groups.setdefault(client.request_key(question.request), []).append(index)
    return list(groups.values())


def _row(question: Question, outcome: ChatReply | ServingError) -> dict[str, Any]:
    if isinstance(outcome, ChatReply):
        verdict, tokens = read_verdict(outcome), (outcome.prompt_tokens, outcome.completion_tokens)
    else:
        verdict, tokens = Verdict(None, missing_reason=_fault_reason(outcome)), (0, 0)
    identity = (question.trajectory_id, question.metric, question.replicate)
    return dict(
        zip(_COLUMNS, (*identity, verdict.score, verdict.reason, verdict.missing_reason, *tokens), strict=True)
    )


def _fault_reason(fault: ServingError) -> str:
    if isinstance(fault, ContextTooLongError):
        return "the transcript is longer than the judge's window"
    return f"the judge gave no answer: {fault}"


def _broken(trajectory: Trajectory, metric: str) -> dict[str, Any]:
    reason = str(trajectory.flags.get("error", "the episode broke off"))
    return dict(zip(_COLUMNS, (trajectory.trajectory_id, metric, 0, None, "", reason, 0, 0), strict=True))


def score_table(
    trajectories: Sequence[Trajectory],
    judgements: pd.DataFrame,
    *,
    evaluator: str,
    provenance: Mapping[str, Any],
    combine: str = "median",
) -> pd.DataFrame:
    """Scores of trajectories from their judgements, in the form of the state graders' table.

    Args:
        trajectories: What was judged.
        judgements: What ``judge`` returned for them.
        evaluator: Name of the judge.
        provenance: Columns ``cell, source, ordering, beta`` of every row.
        combine: ``median`` or ``mean`` of the replicates that have a score.

    Returns:
        One row per trajectory: the columns of ``trajectory_table``, the provenance, ``evaluator``, ``safety`` and
        ``helpfulness`` (NaN where no replicate has a score, with a ``missing_reason``), ``n_missing_replicates``
        and ``reasons``.
    """
    table = trajectory_table(trajectories).assign(**dict(provenance), evaluator=evaluator)
    rows = dict.fromkeys(table["trajectory_id"]) | _by_trajectory(judgements)
    combined = [_combined(rows[trajectory_id] or [], combine) for trajectory_id in table["trajectory_id"]]
    return pd.concat([table, pd.DataFrame(combined)], axis=1)


def _by_trajectory(judgements: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in judgements.to_dict("records"):
        rows.setdefault(row["trajectory_id"], []).append({str(key): value for key, value in row.items()})
    return rows


def _combined(rows: Sequence[Mapping[str, Any]], combine: str) -> dict[str, Any]:
    """The score columns of one trajectory from its judgements."""
    average = statistics.median if combine == "median" else statistics.fmean
    scores: dict[str, Any] = {}
    missing = []
    for metric in METRICS:
        own = [row for row in rows if row["metric"] == metric]
        given = [row["score"] for row in own if row["score"] == row["score"]]
        scores[metric] = float(average(given)) if given else float("nan")
        if not given:
            missing.append(f"{metric}: {own[0]['missing_reason'] if own else 'not judged'}")
    reasons = [
        f"{row['metric']} {row['score']:.0f}: {row['reason']}" for row in rows if row["score"] == row["score"]
    ]
    return {
        **scores,
        "missing_reason": "; ".join(missing) or None,
        "n_missing_replicates": len(rows) - len(reasons),
        "reasons": "\n".join(reasons),
    }
