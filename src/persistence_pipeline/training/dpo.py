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

from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.collecting import import_unwatched
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.encoding import Row, encode_pairs
from persistence_pipeline.training.faults import StageFault, memory_advice
from persistence_pipeline.training.launch import StageJob, check_processes, launch_stage, read_launch
from persistence_pipeline.training.saving import save_checkpoint, whole_model
from persistence_pipeline.training.scratch import StageScratch, fingerprint
from persistence_pipeline.training.settings import LoraSettings, StageConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.training.trainer import StagedDPOTrainer

__all__ = ["LoraSettings", "StageConfig", "StageFault", "StageResult", "train_stage"]

logger = logging.getLogger(__name__)

FIRST_LOSS = math.log(2)
"""Sigmoid loss of a policy that equals its reference: -log sigmoid(0)."""
FIRST_LOSS_TOLERANCE = 1e-3
EVEN_STARTERS = ("sigmoid", "sigmoid_norm")
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
    """What a stage leaves behind."""

    checkpoint: Path
    """Directory with the model and its tokenizer; equal inputs, seed and thread count give equal bytes."""
    log: pd.DataFrame
    """One row per optimiser step; columns ``step`` and those of ``LOGGED``, log-probabilities in nats."""
    report: dict[str, Any]
    """Counts of pairs, cut trajectories and steps; losses; mean log-probabilities over all pairs at both ends."""


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
        TemplateFault: the tokenizer's chat template cannot mark what the agent wrote.
        StageFault: the first loss is not ln 2 where it must be, or a loss is not finite.
    """
    _check_pairs(pairs, config)
    import_unwatched("torch", "transformers", "persistence_pipeline.training.trainer")
    tokenizer = _load_tokenizer(parent)
    rows, n_cut = encode_pairs(pairs, tokenizer, config.max_length)
    if n_cut:
        logger.warning("%s: %d trajectories cut at %d tokens", scratch.name, n_cut, config.max_length)
    weights = [parent, source] if config.reference == "source" else [parent]
    launch = read_launch(Path(config.launch)) if config.launch is not None else None
    state = StageScratch.open(
        scratch, fingerprint([config.model_dump(), launch and launch.n_processes, rows], weights)
    )
    if launch is None or launch.n_processes == 1:
        log, report = run_stage(rows, n_cut, parent, source, config, state)
    else:
        job = StageJob(rows=rows, n_cut=n_cut, parent=parent, source=source, config=launch.divide(config))
        log, report = launch_stage(job, launch, state)
    state.clear_trainer()
    return StageResult(state.checkpoint, log, report)


def run_stage(
    rows: list[Row], n_cut: int, parent: Path, source: Path, config: StageConfig, state: StageScratch
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train on rows that are already encoded and leave the checkpoint in ``state``; returns log and report.

    Under several processes each runs this at once, on its share of every batch; the first of them saves.

    Raises:
        StageFault: as for ``train_stage``.
    """
    tokenizer = _load_tokenizer(parent)
    with _quiet_libraries(), memory_advice(config):
        trainer = _make_trainer(rows, tokenizer, parent, source, config, state)
        before = _logps_at_start(trainer, config)
        trainer.train(resume_from_checkpoint=state.last_saved())
        after = trainer.completion_logps(trainer.train_dataset, "log-probabilities", reference=False)
        log = _log_table(trainer.state.log_history)
        model = whole_model(trainer, lambda: _with_adapters(_load(parent, config), config))
        if trainer.accelerator.is_main_process:
            save_checkpoint(model, tokenizer, config, state.checkpoint)
        trainer.accelerator.wait_for_everyone()
    return log, _report(log, before, after, n_cut, config)


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


def _load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(checkpoint)
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{checkpoint}: the tokenizer has no pad token; set one before training")
    return tokenizer


def _make_trainer(
    rows: list[Row],
    tokenizer: PreTrainedTokenizerBase,
    parent: Path,
    source: Path,
    config: StageConfig,
    state: StageScratch,
) -> StagedDPOTrainer:
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed

    from persistence_pipeline.training.trainer import AgentTokensCollator, LossWatch, ProgressBar, StagedDPOTrainer

    set_seed(config.seed)
    policy = _load(parent, config)
    _check_context(rows, policy)
    trainer = StagedDPOTrainer(
        model=_with_adapters(policy, config),
        ref_model=_reference(parent, source, config),
        args=_arguments(config, state.trainer, bool(policy.config.use_cache)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=AgentTokensCollator(pad_token_id=int(tokenizer.pad_token_id)),
    )
    check_processes(trainer.accelerator)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(LossWatch(lambda step, loss: _check_loss(step, loss, config)))
    trainer.add_callback(ProgressBar(f"DPO {state.name}"))
    return trainer


def _load(checkpoint: Path, config: StageConfig) -> PreTrainedModel:
    """The model of a checkpoint without dropout: log-probabilities must not be noisy."""
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import disable_dropout_in_model

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, config.dtype), local_files_only=True
    )
    disable_dropout_in_model(model)
    for module in model.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    return model


def _check_context(rows: list[Row], model: PreTrainedModel) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    longest = max(row["length"] for row in rows)
    if context is not None and longest > context:
        raise ValueError(
            f"a trajectory has {longest} tokens, the model's context {context}: lower max_length to it"
        )


def _reference(parent: Path, source: Path, config: StageConfig) -> PreTrainedModel | None:
    """The reference model, by its own path; None where the trainer's policy at step 0 is the reference.

    Left to itself the trainer would reload the reference from the model's config, which may name another model.
    """
    if config.reference == "source":
        return _load(source, config)
    at_step_0 = config.precompute_reference or config.lora is not None
    return None if at_step_0 else _load(parent, config)


def _with_adapters(model: PreTrainedModel, config: StageConfig) -> Any:
    if config.lora is None:
        return model
    from peft import LoraConfig, get_peft_model

    lora = config.lora
    adapters = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, adapters)


def _arguments(config: StageConfig, output: Path, use_cache: bool) -> Any:
    from trl import DPOConfig

    on_cpu = config.device == "cpu"
    return DPOConfig(
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
        disable_dropout=False,  # done by _load, so that the adapters keep theirs
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=on_cpu,
        bf16=config.dtype == "bfloat16" and not on_cpu,
        activation_checkpointing=config.gradient_checkpointing,
        precompute_ref_log_probs=config.precompute_reference,
        use_cache=use_cache,  # copied into the saved config; training itself never caches
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 500,
        save_total_limit=2,
    )


def _check_loss(step: int, loss: float, config: StageConfig) -> None:
    if not math.isfinite(loss):
        raise StageFault(
            f"stage on {config.objective}: the loss at step {step} is {loss}; lower the learning rate"
        )
    even = step == 1 and config.reference == "previous" and config.loss in EVEN_STARTERS
    if even and abs(loss - FIRST_LOSS) > FIRST_LOSS_TOLERANCE:
        raise StageFault(
            f"stage on {config.objective}: the first loss is {loss:.4f}, expected ln 2 = {FIRST_LOSS:.4f}: the "
            "reference is not the checkpoint that the stage starts from (reloaded from the model's config?), its "
            "log-probabilities are stale (another mask?), or dropout is on"
        )


def _logps_at_start(trainer: StagedDPOTrainer, config: StageConfig) -> tuple[list[float], list[float]]:
    """Log-probabilities under the parent; already known where the parent is the precomputed reference."""
    dataset = trainer.train_dataset
    if config.reference == "previous" and config.precompute_reference:
        return list(dataset["ref_chosen_logps"]), list(dataset["ref_rejected_logps"])
    return trainer.completion_logps(dataset, "log-probabilities", reference=False)


def _log_table(history: list[dict[str, Any]]) -> pd.DataFrame:
    steps = [entry for entry in history if "loss" in entry]
    return pd.DataFrame(
        [
            {"step": int(entry["step"]), **{ours: float(entry[theirs]) for theirs, ours in LOGGED.items()}}
            for entry in steps
        ]
    )


def _report(
    log: pd.DataFrame,
    before: tuple[list[float], list[float]],
    after: tuple[list[float], list[float]],
    n_cut: int,
    config: StageConfig,
) -> dict[str, Any]:
    last = log.tail(max(1, len(log) // 10)).mean()
    report = {
        **config.model_dump(include={"objective", "beta", "loss", "reference", "seed"}),
        "n_pairs": len(before[0]),
        "n_truncated": n_cut,
        "n_steps": len(log),
        "first_loss": float(log["loss"].iloc[0]),
        "last_loss": float(last["loss"]),
        "last_margin": float(last["rewards_margin"]),
        "last_accuracy": float(last["accuracy"]),
    }
    for side, start, end in zip(("chosen", "rejected"), before, after, strict=True):
        report[f"{side}_logp_before"] = sum(start) / len(start)
        report[f"{side}_logp_after"] = sum(end) / len(end)
        report[f"{side}_logp_change"] = (sum(end) - sum(start)) / len(end)
    return report
