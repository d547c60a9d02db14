"""One DPO stage: from a parent checkpoint and preference pairs to a checkpoint.

What a row of training data is lives in ``encoding.py``, how TRL is driven in ``trainer.py``, where a killed stage
continues in ``scratch.py``, how several processes train one stage in ``launch.py``, what becomes of the trained
model in ``saving.py``.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil

from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.collecting import import_unwatched
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.encoding import Row, encode_pairs
from persistence_pipeline.training.errors import StageError, memory_advice
from persistence_pipeline.training.heap import freed_memory_kept
from persistence_pipeline.training.launch import (
    StageJob,
    check_launch,
    check_processes,
    launch_stage,
    read_launch,
)
from persistence_pipeline.training.memory import GIGABYTE, check_memory
from persistence_pipeline.training.models import (
    as_computed,
    check_context,
    load_model,
    loading_dtype,
    on_cpu,
    stage_seed,
    with_adapters,
)
from persistence_pipeline.training.saving import save_checkpoint, whole_model
from persistence_pipeline.training.scratch import StageScratch, fingerprint
from persistence_pipeline.training.settings import FACTORS, LoraSettings, StageConfig
from persistence_pipeline.training.verify import (
    Apart,
    Values,
    check_moved,
    check_policy,
    check_reference,
    check_rows,
    check_saved,
    count_tokens,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.training.scoring import Logps
    from persistence_pipeline.training.trainer import StagedDPOTrainer

__all__ = ["LoraSettings", "StageConfig", "StageError", "StageResult", "train_stage"]

logger = logging.getLogger(__name__)

WARNINGS = {
    "n_truncated": "{} trajectories cut at {} tokens",
    "n_equal": "{} pairs have equal sides within {} tokens and teach nothing",
    "n_unknown": "{} tokens of the agent are unknown to the tokenizer",
}
"""Counts of the report that are worth a warning."""
LOGGED = {
    "loss": "loss",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
    "rewards/chosen": "rewards_chosen",
    "rewards/rejected": "rewards_rejected",
    "rewards/margins": "rewards_margin",
    "rewards/accuracies": "accuracy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}


@dataclass(frozen=True)
class StageResult:
    """The result of a stage."""

    checkpoint: Path
    """Directory with the model and its tokenizer; equal inputs, seed and thread count give equal bytes."""
    log: pd.DataFrame
    """One row per optimiser step; columns ``step`` and those of ``LOGGED``, log-probabilities in nats."""
    report: dict[str, Any]
    """Counts of pairs, cut trajectories and steps; losses; mean log-probabilities over all pairs under the parent
    and under the saved checkpoint; ``saved_difference``, nats a token between that and the trained policy."""


def train_stage(
    pairs: Sequence[PreferencePair], parent: Path, source: Path, config: StageConfig, scratch: Path
) -> StageResult:
    """Run one DPO stage.

    Args:
        pairs: Preference pairs of the stage's objective.
        parent: Checkpoint that the stage starts from.
        source: The study's source, the reference where ``config.reference`` is ``source``.
        config: Objective, loss and optimiser.
        scratch: Folder for the trainer's state and for the resulting checkpoint; its name titles the progress bar.
            A killed stage that is run again with the same pairs, parent and config continues from its last saved
            step and ends with the bytes of an uninterrupted run.

    Raises:
        ValueError: no pairs, pairs of another objective, or trajectories longer than the model's context.
        TemplateError: the tokenizer's chat template cannot mark what the agent wrote.
        StageError: reference, policy or checkpoint are not what they should be; nothing was learnt; a setting
            cannot be followed with this model or on this machine; or a loss is not finite.
    """
    _check_pairs(pairs, config)
    import_unwatched("torch", "transformers", "persistence_pipeline.training.trainer")
    config = as_computed(config)
    logger.info("stage on %s: %s", config.objective, config.dtype)
    tokenizer = _load_tokenizer(parent)
    rows, n_cut = encode_pairs(pairs, tokenizer, config.max_length, config.rendered_turns)
    counts = {"n_truncated": n_cut, **check_rows(rows, tokenizer, config)}
    for count, warning in WARNINGS.items():
        if counts[count]:
            logger.warning("%s: %s", scratch.name, warning.format(counts[count], config.max_length))
    launch = read_launch(Path(config.launch)) if config.launch is not None else None
    if launch is not None:
        check_launch(launch, config.device)
    _check_room(rows, parent, config)
    seed = stage_seed(config, parent) if config.lora is not None else config.seed
    weights = [parent, source] if config.reference == "source" else [parent]
    job = StageJob(rows=rows, counts=counts, parent=parent, source=source, config=config, seed=seed)
    state = StageScratch.open(
        scratch, fingerprint([config.model_dump(), launch and launch.n_processes, rows], weights)
    )
    if launch is None or launch.n_processes == 1:
        log, report = run_stage(job, state)
    else:
        job = job.model_copy(update={"config": launch.divide(config)})
        log, report = launch_stage(job, launch, state)
    state.clear_trainer()
    return StageResult(state.checkpoint, log, report)


def run_stage(job: StageJob, state: StageScratch) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train on rows that are already encoded and leave the checkpoint in ``state``; returns log and report.

    Under several processes each runs this at once, on its share of every batch; the first of them saves.

    Raises:
        StageError: as for ``train_stage``.
    """
    config = job.config
    tokenizer = _load_tokenizer(job.parent)
    with _quiet_libraries(), memory_advice(config), freed_memory_kept():
        trainer = _make_trainer(job, tokenizer, state)
        probed = trainer.scorer.probed
        tokens = count_tokens([job.rows[pair] for pair in probed])
        before = _watch_start(trainer, job, tokens)
        trainer.train(resume_from_checkpoint=state.last_saved())
        trained = trainer.policy_logps(trainer.scorer.probes, training=False)
        log = _log_table(trainer.state.log_history)
        _save(trainer, job, tokenizer, state.checkpoint)
        after = _logps_on_disk(trainer, state.checkpoint, config, trainer.scorer.batches)
        difference = check_saved(trained[:, probed], after[:, probed], tokens, config)
    return log, _report(log, before, after, difference, job)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """One bar of our own instead of the libraries' bars and notices of deprecation."""
    from transformers.utils import logging as hf_logging

    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


def _check_pairs(pairs: Sequence[PreferencePair], config: StageConfig) -> None:
    if not pairs:
        raise ValueError(f"stage on {config.objective}: no preference pairs")
    for pair in pairs:
        if pair.objective != config.objective:
            raise ValueError(f"stage on {config.objective}: pair {pair.pair_id} is ordered by {pair.objective}")


def _check_room(rows: Sequence[Row], parent: Path, config: StageConfig) -> None:
    """Say what a stage on this machine's CPU will take, and refuse it where that is not there."""
    needed = check_memory(rows, parent, config, psutil.virtual_memory().available) if on_cpu(config) else None
    if needed is not None:
        logger.info("stage on %s: up to %.1f GB of memory", config.objective, needed / GIGABYTE)


def _load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(checkpoint)
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{checkpoint}: the tokenizer has no pad token; set one before training")
    return tokenizer


def _make_trainer(job: StageJob, tokenizer: PreTrainedTokenizerBase, state: StageScratch) -> StagedDPOTrainer:
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed

    from persistence_pipeline.training.trainer import AgentTokensCollator, LossWatch, ProgressBar, StagedDPOTrainer

    config = job.config
    set_seed(job.seed)
    arguments = _arguments(job, state.trainer)
    policy = load_model(job.parent, config)
    check_context(max(row["length"] for row in job.rows), policy, "lower max_length to it")
    arguments.use_cache = bool(policy.config.use_cache)  # goes into the saved config; training itself never caches
    trainer = StagedDPOTrainer(
        model=with_adapters(policy, config.lora, job.seed),
        ref_model=_reference(job.parent, job.source, config),
        args=arguments,
        train_dataset=Dataset.from_list(job.rows),
        processing_class=tokenizer,
        data_collator=AgentTokensCollator(pad_token_id=int(tokenizer.pad_token_id)),
    )
    check_processes(trainer.accelerator)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(LossWatch(lambda step, loss: _check_loss(step, loss, config)))
    trainer.add_callback(ProgressBar(f"DPO {state.name}"))
    return trainer


def _reference(parent: Path, source: Path, config: StageConfig) -> PreTrainedModel | None:
    """The reference model, by its own path; None where the trainer's policy at step 0 is the reference.

    Left to itself the trainer would reload the reference from the model's config, which may name another model.
    """
    if config.reference == "source":
        return load_model(source, config)
    at_step_0 = config.precompute_reference or config.lora is not None
    return None if at_step_0 else load_model(parent, config)


def _arguments(job: StageJob, output: Path) -> Any:
    from trl import DPOConfig

    config = job.config
    cpu = on_cpu(config)
    arguments = DPOConfig(
        output_dir=str(output),
        beta=config.beta,
        loss_type=[config.loss],
        label_smoothing=config.label_smoothing,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        warmup_steps=config.warmup_share,
        lr_scheduler_type=config.scheduler,
        max_length=None,  # rows are already cut, and counted
        disable_dropout=False,  # done by load_model, so that the adapters keep theirs
        seed=job.seed,
        data_seed=config.seed,
        use_cpu=cpu,
        bf16=config.dtype == "bfloat16",
        activation_checkpointing=config.gradient_checkpointing,
        precompute_ref_log_probs=config.precompute_reference,
        remove_unused_columns=False,
        dataloader_pin_memory=not cpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 500,
        save_total_limit=2,
    )
    # the setting decides, not what a launch's configuration left in the environment
    arguments.mixed_precision = "bf16" if config.dtype == "bfloat16" else "no"
    return arguments


def _check_loss(step: int, loss: float, config: StageConfig) -> None:
    if not math.isfinite(loss):
        raise StageError(
            f"stage on {config.objective}: the loss at step {step} is {loss}; lower the learning rate"
        )


def _watch_start(trainer: StagedDPOTrainer, job: StageJob, tokens: Values) -> Logps:
    """Have reference and policy checked before the first step; returns log-probabilities under the parent.

    ``tokens`` counts the agent's in the completions of the probed pairs.
    """
    import numpy as np

    from persistence_pipeline.training.trainer import StartWatch

    config, scorer, probed = job.config, trainer.scorer, trainer.scorer.probed
    dataset, from_source = trainer.train_dataset, config.reference == "source"
    computed = None
    if config.precompute_reference:
        computed = np.array([dataset["ref_chosen_logps"], dataset["ref_rejected_logps"]])
    known = computed is not None and not from_source
    parent = _logps_on_disk(trainer, job.parent, config, scorer.probes if known else scorer.batches)
    other = from_source and job.source != job.parent
    named = _logps_on_disk(trainer, job.source, config, scorer.probes) if other else parent

    def check() -> None:
        reference = trainer.reference_logps(scorer.probes) if computed is None else computed
        path = job.source if from_source else job.parent
        check_reference(reference[:, probed], named[:, probed], tokens, path, config)
        policy = trainer.policy_logps(scorer.probes, training=True)
        check_policy(policy[:, probed], parent[:, probed], tokens, job.parent, config)

    trainer.add_callback(StartWatch(check))
    return computed if known and computed is not None else parent


def _logps_on_disk(
    trainer: StagedDPOTrainer, checkpoint: Path, config: StageConfig, batches: Sequence[list[int]]
) -> Logps:
    with trainer.scorer.room(trainer.model):
        return trainer.scorer.checkpoint(checkpoint, loading_dtype(config), batches, "log-probabilities")


def _save(trainer: StagedDPOTrainer, job: StageJob, tokenizer: PreTrainedTokenizerBase, checkpoint: Path) -> None:
    """The first process saves the policy and sees that it moved; the others wait."""
    config = job.config
    model = whole_model(trainer, lambda: with_adapters(load_model(job.parent, config), config.lora, job.seed))
    if trainer.accelerator.is_main_process:
        save_checkpoint(model, tokenizer, config.dtype, checkpoint)
        check_moved(job.parent, checkpoint, config)
    trainer.accelerator.wait_for_everyone()


def _log_table(history: list[dict[str, Any]]) -> pd.DataFrame:
    steps = [entry for entry in history if "loss" in entry]
    return pd.DataFrame(
        [
            {"step": int(entry["step"]), **{ours: float(entry[theirs]) for theirs, ours in LOGGED.items()}}
            for entry in steps
        ]
    )


def _report(log: pd.DataFrame, before: Logps, after: Logps, difference: Apart, job: StageJob) -> dict[str, Any]:
    last = log.tail(max(1, len(log) // 10)).mean()
    report = {
        **job.config.model_dump(include=FACTORS),
        "dtype": job.config.dtype,
        "n_pairs": len(job.rows),
        **job.counts,
        "n_steps": len(log),
        "first_loss": float(log["loss"].iloc[0]),
        "last_loss": float(last["loss"]),
        "last_margin": float(last["rewards_margin"]),
        "last_accuracy": float(last["accuracy"]),
        "saved_difference": difference.mean,
    }
    for side, start, end in zip(("chosen", "rejected"), before.tolist(), after.tolist(), strict=True):
        report[f"{side}_logp_before"] = sum(start) / len(start)
        report[f"{side}_logp_after"] = sum(end) / len(end)
        report[f"{side}_logp_change"] = (sum(end) - sum(start)) / len(end)
    return report
