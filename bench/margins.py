"""``python -m bench margins ENV``: what a study's agents make of pairs that their last stage was not about.

The report of a stage has its own pairs alone. Here an agent of two stages reads the pairs of the first, and an
agent of both objectives at once those of either, from checkpoints as they lie. What was read before is kept.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from persistence_pipeline import orderings
from persistence_pipeline.records import METRICS
from persistence_pipeline.study.policies import Policy, parse_policies, policy_name


def main(argv: Sequence[str]) -> None:
    """Read the pairs of the project in this folder and write ``docs/results/ENV-margins.json``, row by row."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    parser = ArgumentParser(prog="python -m bench margins", description=__doc__)
    parser.add_argument("env", metavar="ENV", help="environment of a finished study")
    env = parser.parse_args(argv).env
    project = Path.cwd()
    file = project / f"docs/results/{env}-margins.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    bootstrap_project(project)
    context: Any = KedroSession.create(project_path=project, env=env).load_context()
    policies = parse_policies(context.params["policies"])
    rows = json.loads(file.read_text("utf-8"))["numbers"]["margins"] if file.is_file() else []
    known = {(row["cell"], row["objective"]) for row in rows}
    for policy, objective in _read(policies):
        if (policy.name, objective) in known:
            continue
        rows.append({"cell": policy.name, "objective": objective, **_margin(context, policies, policy, objective)})
        file.write_text(json.dumps({"numbers": {"margins": rows}}, indent=1) + "\n", encoding="utf-8")
        print(rows[-1], flush=True)


def _read(policies: Mapping[str, Policy]) -> Iterator[tuple[Policy, str]]:
    """Which agent reads pairs of which objective; agents of two stages first."""
    trained = [policy for policy in policies.values() if policy.trained]
    for policy in trained:
        for before in orderings.stages(policy.ordering)[:-1]:
            yield policy, before
    for policy in trained:
        if policy.objective not in METRICS:
            yield from ((policy, metric) for metric in METRICS)


def _margin(context: Any, policies: Mapping[str, Policy], policy: Policy, objective: str) -> dict[str, Any]:
    """Mean over the pairs of the log-probability of chosen minus that of rejected completions, in nats.

    In the batches and the arithmetic of the stage on these pairs.
    """
    from accelerate import Accelerator
    from datasets import Dataset

    from persistence_pipeline.agents.tokenizer import load_tokenizer
    from persistence_pipeline.training.encoding import encode_pairs
    from persistence_pipeline.training.models import as_computed, loading_dtype, on_cpu
    from persistence_pipeline.training.scoring import Scorer
    from persistence_pipeline.training.settings import StageConfig, with_factors
    from persistence_pipeline.training.trainer import AgentTokensCollator

    stage = policies[policy_name(policy.source, policy.factors, policy.seed, objective)]
    settings = getattr(context.params["training"], objective)
    config = as_computed(StageConfig.model_validate(with_factors(settings, stage)))
    checkpoint = context.catalog.load(f"{policy.checkpoint}.checkpoint")
    tokenizer = load_tokenizer(checkpoint)
    pairs = context.catalog.load(f"{policy.origin}.pairs_{objective}")
    encoded, _ = encode_pairs(pairs, tokenizer, config.max_length, config.rendered_turns)
    precision = "bf16" if config.dtype == "bfloat16" else "no"
    scorer = Scorer(
        Accelerator(cpu=on_cpu(config), mixed_precision=precision),
        Dataset.from_list(encoded),
        AgentTokensCollator(pad_token_id=int(tokenizer.pad_token_id)),
        config.batch_size,
    )
    chosen, rejected = scorer.checkpoint(checkpoint, loading_dtype(config), scorer.batches, policy.name)
    return {"n_pairs": len(pairs), "margin": round(float((chosen - rejected).mean()), 6)}
