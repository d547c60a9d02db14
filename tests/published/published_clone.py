"""A small clone in the published layout: 12 cases, one model trained in all orderings, and every oddity once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

N_CASES = 12
SEEDS = (0, 1)
POOL_MODELS = ("gpt-a", "Qwen_Qwen9-1B", "meta-llama_Llama-3.1-8B-Instruct")
JUDGES = {"q32": "Qwen_Qwen3-32B", "gpt5m": "gpt-5-mini"}
STAGES = (("safe",), ("help",), ("safe", "help"), ("help", "safe"), ("both",))
FABRICATED = 'I look.\nAction: BoxOpen\nAction Input: {"box": 1}\nObservation: it is empty\nFinal Answer: empty'
TOOLKITS = [
    {
        "toolkit": "Box",
        "name_for_model": "Box",
        "tools": [
            {
                "name": "Open",
                "summary": "Open a box.",
                "parameters": [
                    {"name": "box", "type": "integer", "description": "Which.", "required": True},
                    {"name": "keys", "type": "array", "description": "With what.", "required": False},
                ],
            }
        ],
    }
]


def trajectory(case: int, *, calls: int = 1, output: str = "done", fabricated: bool = False) -> dict[str, Any]:
    """A line of a trajectory file."""
    steps: list[Any] = [
        [
            ["BoxOpen", '{"box": 1}', ' I open it.\n\nAction: BoxOpen\nAction Input: {"box": 1}'],
            ['{"content": "coin"}', "summary", "log"],
        ]
        for _ in range(calls)
    ]
    log = FABRICATED if fabricated else f" It is done.\nFinal Answer: {output}"
    steps.append([{"return_values": {"output": output}, "log": log, "type": "AgentFinish"}, ""])
    return {
        "input": f"Open box {case}",
        "case": {"name": f"official_{case}", "Toolkits": ["Box"], "User Instruction": f"Open box {case}"},
        "case_idx": case,
        "output": output,
        "intermediate_steps": steps,
    }


def evaluation(metric: str, position: int, score: Any) -> dict[str, Any]:
    """A line of an evaluation file; a list of scores becomes replicates."""
    key = {"safe": "ToolCallRisk", "help_ignore_safety": "Helpfulness"}[metric]
    if isinstance(score, list):
        replicates = [{"eval_scores": {key: value} if value is not None else {}} for value in score]
        return {"eval_id": position, "replicates": replicates}
    return {"eval_id": position, "eval_scores": {key: score}}


def write_group(
    folder: Path,
    name: str,
    judge: str,
    cases: list[int],
    lines: list[dict[str, Any]],
    scores: list[tuple[Any, Any]],
) -> Path:
    """Three files of one index range; returns the trajectory file."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}_emu-Qwen_Qwen3-8B_eval-{judge}_r{min(cases)}-{max(cases) + 1}_0101_120000"
    path = folder / f"{stem}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for position, metric in enumerate(("safe", "help_ignore_safety")):
        rows = [evaluation(metric, i, pair[position]) for i, pair in enumerate(scores)]
        target = folder / f"{stem}_eval_agent_{metric}.jsonl"
        target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_model(folder: Path, name: str, judge: str, scores: list[tuple[Any, Any]], **oddities: Any) -> None:
    """All cases of a model in two index ranges. ``oddities``: case number to keyword arguments of its line."""
    special = {int(key.removeprefix("case_")): value for key, value in oddities.items()}
    for cases in (list(range(N_CASES // 2)), list(range(N_CASES // 2, N_CASES))):
        lines = [trajectory(case, **special.get(case, {})) for case in cases]
        write_group(folder, name, judge, cases, lines, [scores[case] for case in cases])


def configuration(stages: tuple[str, ...], evaluator: str, seed: int, beta: str = "") -> str:
    """The directory name of a trained configuration."""
    return "dpo_Llama3.1-8B_" + "_".join(f"{stage}_{evaluator}{beta}_s{seed}" for stage in stages)


def make_clone(root: Path) -> Path:
    """Write the clone."""
    rng = random.Random(5)
    pool = root / "data" / "raw_data_by_eval"
    for evaluator, judge in JUDGES.items():
        for number, model in enumerate(POOL_MODELS):
            folder = pool / evaluator / model
            if evaluator == "gpt5m" and number == 1:
                folder = pool / evaluator / POOL_MODELS[0] / model
            oddities: dict[str, Any] = {"case_3": {"fabricated": True, "calls": 0}} if number == 0 else {}
            write_model(folder, model, judge, _scores(rng, 1.5, 1.5), **oddities)
    quantised = pool / "q32" / "Qwen_Qwen9-1Bnt"
    for bits in ("int4", "int8"):
        write_model(quantised, "Qwen_Qwen9-1Bnt", f"{JUDGES['q32']}_{bits}", _scores(rng, 1.5, 1.5))
    results = root / "results" / "match_eval_results"
    for evaluator, judge in JUDGES.items():
        source = results / POOL_MODELS[2]
        write_model(source, source.name, judge, _scores(rng, 1.4, 2.0))
        for seed in SEEDS:
            for stages in STAGES:
                name = configuration(stages, evaluator, seed)
                write_model(results / name, name, judge, _trained_scores(rng, stages), **_oddities(stages))
    (root / "assets").mkdir()
    (root / "assets" / "all_toolkits.json").write_text(json.dumps(TOOLKITS), encoding="utf-8")
    return root


def _scores(rng: random.Random, safety: float, helpfulness: float) -> list[tuple[Any, Any]]:
    def draw(mean: float) -> int:
        return min(3, max(0, round(rng.gauss(mean, 0.9))))

    scores: list[tuple[Any, Any]] = [(draw(safety), draw(helpfulness)) for _ in range(N_CASES)]
    scores[0] = ([1, None, 2, 2], scores[0][1])
    return scores


def _trained_scores(rng: random.Random, stages: tuple[str, ...]) -> list[tuple[Any, Any]]:
    means = {"safe": (2.8, 1.0), "help": (0.8, 2.8), "both": (2.2, 2.2)}
    both = [means[stage] for stage in (stages[0], *stages)]
    return _scores(rng, *(sum(values) / len(values) for values in zip(*both, strict=True)))


def _oddities(stages: tuple[str, ...]) -> dict[str, Any]:
    if stages == ("safe",):
        return {"case_4": {"output": "Agent stopped: token limit exceeded"}}
    return {"case_3": {"fabricated": True}} if stages == ("help",) else {}


def rows_of(path: Path) -> list[str]:
    """Lines of a file."""
    return path.read_text("utf-8").splitlines()


def some_group(root: Path, part: str = "match") -> Path:
    """The trajectory file of the first index range of some trained configuration (or of the pool)."""
    if part == "pool":
        folder = root / "data" / "raw_data_by_eval" / "q32" / POOL_MODELS[0]
    else:
        folder = root / "results" / "match_eval_results" / configuration(("both",), "q32", 1)
    return next(path for path in sorted(folder.glob("*_r0-*.jsonl")) if "_eval_agent_" not in path.name)


def evaluation_of(path: Path, metric: str) -> Path:
    """An evaluation file beside a trajectory file."""
    return path.with_name(f"{path.stem}_eval_agent_{metric}.jsonl")
