"""The DPO stage and the warm start against loops written by hand that do the same arithmetic."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import materials
from bench.timing import Row, overhead
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.encoding import encode_pairs
from persistence_pipeline.training.settings import StageConfig

PAIRS = 600
WARM_STEPS = 60
SAME_LOSS = 1e-3
Logps = tuple[list[float], list[float]]


def measure(repeats: int) -> list[Row]:
    """The rows of the stage: its steps, the whole stage, a fresh process; and of the warm start."""
    return [*_stage_rows(repeats), _process_row(repeats), _warm_start_row(repeats)]


def _stage_rows(repeats: int) -> list[Row]:
    pairs, config, parent = materials.pairs(PAIRS), materials.stage_config(), materials.source()
    whole = overhead(
        "stage_whole",
        "the same stage from parent to saved checkpoint, with the trainer's state for a kill",
        "the same loop with loading, reference, final log-probabilities and saving",
        lambda: ours_whole(pairs, parent, config),
        lambda: by_hand_whole(pairs, parent, config),
        target=1.5,
        repeats=repeats,
        warm_up=True,
    )
    return [_steps_row(pairs, config.model_copy(update={"save_every": 0}), parent, max(repeats, 5)), whole]


def _steps_row(pairs: Sequence[PreferencePair], config: StageConfig, parent: Path, repeats: int) -> Row:
    """The steps alone: both sides are loaded and have scored the reference before the clock starts."""
    from persistence_pipeline.training import dpo
    from persistence_pipeline.training.launch import StageJob
    from persistence_pipeline.training.scratch import StageScratch

    tokenizer = dpo._load_tokenizer(parent)
    rows, _ = encode_pairs(pairs, tokenizer, config.max_length, config.rendered_turns)
    job = StageJob(rows=rows, counts={}, parent=parent, source=parent, config=config, seed=config.seed)
    losses: dict[str, list[float]] = {}
    sides: dict[str, Any] = {}

    def prepare() -> None:
        shutil.rmtree(materials.WORK / "stage", ignore_errors=True)
        state = StageScratch(materials.WORK / "stage")
        sides["ours"] = dpo._make_trainer(job, tokenizer, state)
        sides["theirs"] = HandLoop(rows, tokenizer, parent, config)

    def train() -> None:
        sides["ours"].train()
        losses["ours"] = [entry["loss"] for entry in sides["ours"].state.log_history if "loss" in entry]

    def train_by_hand() -> None:
        losses["theirs"] = sides["theirs"].train()

    row = overhead(
        "stage",
        f"a DPO stage on the tiny model ({PAIRS} pairs), its steps (nothing is saved)",
        "a hand-written DPO loop with the same batches and arithmetic",
        train,
        train_by_hand,
        target=1.2,
        repeats=repeats,
        prepare=prepare,
        warm_up=True,
    )
    gap = max(abs(a - b) for a, b in zip(losses["ours"], losses["theirs"], strict=True))
    if gap > SAME_LOSS:
        raise RuntimeError(f"the two loops do not do the same: losses differ by {gap}")
    row.details.update({"n_steps": len(losses["ours"]), "largest_difference_of_losses": gap})
    return row


def ours_whole(pairs: Sequence[PreferencePair], parent: Path, config: StageConfig) -> None:
    """A stage as the pipeline runs it."""
    from persistence_pipeline.training.dpo import train_stage

    shutil.rmtree(materials.WORK / "stage", ignore_errors=True)
    train_stage(pairs, parent, parent, config, materials.WORK / "stage")


def by_hand_whole(pairs: Sequence[PreferencePair], parent: Path, config: StageConfig) -> None:
    """The same with the loop by hand."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(parent)
    rows, _ = encode_pairs(pairs, tokenizer, config.max_length, config.rendered_turns)
    loop = HandLoop(rows, tokenizer, parent, config)
    loop.train()
    loop.score()
    loop.model.save_pretrained(materials.WORK / "by_hand")
    tokenizer.save_pretrained(materials.WORK / "by_hand")


def _process_row(repeats: int) -> Row:
    materials.pairs(PAIRS)

    def run(side: str) -> None:
        subprocess.run([sys.executable, "-m", "bench.stages", side], check=True, cwd=materials.ROOT)

    _keep_pairs()
    return overhead(
        "stage_process",
        "the same stage in a process of its own, with the start of Python and the imports",
        "the loop by hand in a process of its own",
        lambda: run("ours"),
        lambda: run("by_hand"),
        target=1.5,
        repeats=repeats,
    )


def _keep_pairs() -> None:
    lines = [pair.model_dump_json() for pair in materials.pairs(PAIRS)]
    (materials.WORK / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """One side of the row of processes."""
    lines = (materials.WORK / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [PreferencePair.model_validate_json(line) for line in lines]
    side = {"ours": ours_whole, "by_hand": by_hand_whole}[sys.argv[1]]
    side(pairs, materials.source(), materials.stage_config())


class HandLoop:
    """DPO as one would write it: precomputed reference, length-sorted batches, AdamW, cosine."""

    def __init__(self, rows: list[dict[str, Any]], tokenizer: Any, parent: Path, config: StageConfig) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self.rows, self.config, self.pad = rows, config, int(tokenizer.pad_token_id)
        self.model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32)
        self.reference = self.score()

    def score(self) -> Logps:
        """Log-probabilities of every pair under the model as it is."""
        import torch

        sides: Logps = ([0.0] * len(self.rows), [0.0] * len(self.rows))
        order = sorted(range(len(self.rows)), key=lambda i: self.rows[i]["length"])
        size = 4 * self.config.batch_size
        with torch.no_grad():
            for start in range(0, len(order), size):
                indices = order[start : start + size]
                for side, values in zip(sides, self._logps(indices), strict=True):
                    for index, value in zip(indices, values.tolist(), strict=True):
                        side[index] = value
        return sides

    def train(self) -> list[float]:
        """The steps; returns their losses."""
        import torch
        from transformers import get_cosine_schedule_with_warmup

        config = self.config
        n_steps = math.ceil(len(self.rows) / config.batch_size)
        optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True
        )
        schedule = get_cosine_schedule_with_warmup(optimiser, math.ceil(config.warmup_share * n_steps), n_steps)
        losses = []
        self.model.train()
        order = list(self._order())
        for step in range(n_steps):
            indices = order[step * config.batch_size : (step + 1) * config.batch_size]
            chosen, rejected = self._logps(indices)
            before = [torch.tensor([side[i] for i in indices]) for side in self.reference]
            margin = (chosen - before[0]) - (rejected - before[1])
            loss = -torch.nn.functional.logsigmoid(config.beta * margin).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
        self.model.eval()
        return losses

    def _order(self) -> Any:
        """The batches of our stage, so that both sides see the same ones."""
        from persistence_pipeline.training.trainer import EpochSampler

        sampler = EpochSampler(self.config.batch_size, [row["length"] for row in self.rows], self.config.seed)
        sampler.set_epoch(0)
        return sampler

    def _logps(self, indices: Sequence[int]) -> Any:
        import torch

        rows = [self.rows[i] for i in indices]
        sides = [(row, side) for side in ("chosen", "rejected") for row in rows]
        texts = [row["prompt_ids"] + row[f"{side}_ids"] for row, side in sides]
        masks = [[0] * len(row["prompt_ids"]) + row[f"{side}_mask"] for row, side in sides]
        width = max(map(len, texts))
        ids = torch.tensor([text + [self.pad] * (width - len(text)) for text in texts])
        mask = torch.tensor([m + [0] * (width - len(m)) for m in masks])
        attention = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
        logits = self.model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1]
        picked = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None])[..., 0]
        return (picked * mask[:, 1:]).sum(1).chunk(2)


# -- the warm start ----------------------------------------------------------------------------------------


def _warm_start_row(repeats: int) -> Row:
    from persistence_pipeline.agents.models import ModelSettings, build_model
    from persistence_pipeline.agents.tokenizer import train_tokenizer
    from persistence_pipeline.training import cloning
    from persistence_pipeline.training import warm_start as module
    from persistence_pipeline.world.splits import warm_start_cases
    from persistence_pipeline.world.vocabulary import vocabulary

    settings, world = materials.warm_start_settings(steps=WARM_STEPS), materials.world()
    shape = ModelSettings.model_validate(materials.parameters()["sources"]["llama"]["model"])
    demonstrations = cloning.demonstrate(
        warm_start_cases(world, settings.twins_per_group, 0), settings.behaviours, 0
    )
    tokenizer = train_tokenizer(module._texts(demonstrations, vocabulary(world.all_groups())))
    encoded = cloning.encode_demonstrations(tokenizer, demonstrations)
    losses: dict[str, list[float]] = {}

    def ours() -> None:
        saved = materials.WORK / "warm" / "progress.safetensors"
        saved.unlink(missing_ok=True)
        model = build_model(shape, tokenizer, 0)
        log = cloning.fit(model, module._optimisers(model, settings), encoded, settings, saved)
        losses["ours"] = [row["loss"] for row in log]

    def theirs() -> None:
        losses["theirs"] = _bare_loop(build_model(shape, tokenizer, 0), encoded, settings)

    row = overhead(
        "warm_start",
        f"the warm start ({WARM_STEPS} of its steps)",
        "the same steps in a bare PyTorch loop, batches padded beforehand",
        ours,
        theirs,
        target=1.15,
        repeats=repeats,
        warm_up=True,
    )
    gap = max(abs(a - b) for a, b in zip(losses["ours"], losses["theirs"], strict=True))
    if gap > SAME_LOSS:
        raise RuntimeError(f"the two warm starts do not do the same: losses differ by {gap}")
    row.details["largest_difference_of_losses"] = gap
    return row


def _bare_loop(model: Any, encoded: Any, settings: Any) -> list[float]:
    """Forward, backward, clip, step, with the logits of all tokens: nothing else is timed."""
    import torch

    from persistence_pipeline.training import cloning
    from persistence_pipeline.training import warm_start as module
    from persistence_pipeline.training.encoding import pad_right

    batches = []
    for indices in cloning.batches_of([len(ids) for ids, _ in encoded], settings):
        rows = [encoded[i] for i in indices]
        labels = [[t if own else -100 for t, own in zip(*row, strict=True)] for row in rows]
        batches.append((pad_right([ids for ids, _ in rows], 0), pad_right(labels, -100)))
    optimisers = module._optimisers(model, settings)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, settings.steps) for o in optimisers]
    losses = []
    for ids, labels in batches:
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
    return losses


if __name__ == "__main__":
    main()
