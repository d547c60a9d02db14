"""One DPO stage: from a parent checkpoint and preference pairs to a checkpoint."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.encoding import Row, encode_pairs
from persistence_pipeline.training.settings import StageConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.training.trainer import StagedDPOTrainer

logger = logging.getLogger(__name__)

FIRST_LOSS = math.log(2)
FIRST_LOSS_TOLERANCE = 1e-3
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


class StageFault(RuntimeError):
    """A stage did not do what it must."""


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    checkpoint: Path
    """Directory with the model and its tokenizer."""
    log: pd.DataFrame
    """One row per optimiser step; columns ``step`` and those of ``LOGGED``."""
    report: dict[str, Any]
    """Counts of pairs, cut trajectories and steps; first loss; log-probabilities at both ends."""


def train_stage(
    pairs: Sequence[PreferencePair], parent: Path, source: Path, config: StageConfig, scratch: Path
) -> StageResult:
    """Run one DPO stage.

    Args:
        pairs: Preference pairs of the stage's objective.
        parent: Checkpoint that the stage starts from.
        source: The study's source, the reference where ``config.reference`` is ``source``.
        config: Objective, loss and optimiser.
        scratch: Folder for the trainer's state and for the resulting checkpoint. A killed stage that is run again
            with the same pairs, parent and config continues from its last saved step.

    Raises:
        ValueError: no pairs, or pairs of another objective.
        StageFault: the first loss is not ln 2 where it must be, or the loss is no longer finite.
    """
    from transformers import AutoTokenizer

    _check_pairs(pairs, config)
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    rows, n_cut = encode_pairs(pairs, tokenizer, config.max_length)
    state = _prepare_scratch(scratch, rows, parent, source, config)
    trainer = _make_trainer(rows, tokenizer, parent, source, config, state)
    trainer.train(resume_from_checkpoint=_last_saved(state))
    log = _log_table(trainer.state.log_history)
    _check_losses(log, config)
    checkpoint = _save(trainer.model, tokenizer, parent, scratch / "checkpoint")
    return StageResult(checkpoint, log, _report(log, len(rows), n_cut, config))


def _check_pairs(pairs: Sequence[PreferencePair], config: StageConfig) -> None:
    if not pairs:
        raise ValueError(f"stage on {config.objective}: no preference pairs")
    for pair in pairs:
        if pair.objective != config.objective:
            raise ValueError(f"stage on {config.objective}: pair {pair.pair_id} is ordered by {pair.objective}")


def _prepare_scratch(scratch: Path, rows: list[Row], parent: Path, source: Path, config: StageConfig) -> Path:
    """Folder of the trainer's state; emptied unless it belongs to this very stage."""
    digest = hashlib.sha256(json.dumps([config.model_dump(), rows], sort_keys=True).encode())
    for checkpoint in (parent, source):
        digest.update((checkpoint / "model.safetensors").read_bytes())
    state, mark = scratch / "trainer", scratch / "stage.sha256"
    if not mark.exists() or mark.read_text() != digest.hexdigest():
        shutil.rmtree(scratch, ignore_errors=True)
        state.mkdir(parents=True)
        mark.write_text(digest.hexdigest())
    return state


def _last_saved(state: Path) -> str | None:
    """The newest complete checkpoint of the trainer (its state file is written last)."""
    complete = [path.parent for path in state.glob("checkpoint-*/trainer_state.json")]
    newest = max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)
    if newest is not None:
        logger.info("continuing from step %s", newest.name.split("-")[1])
    return str(newest) if newest else None


def _make_trainer(
    rows: list[Row],
    tokenizer: PreTrainedTokenizerBase,
    parent: Path,
    source: Path,
    config: StageConfig,
    state: Path,
) -> StagedDPOTrainer:
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed
    from transformers.utils import logging as hf_logging

    from persistence_pipeline.training.trainer import AgentTokensCollator, ProgressBar, StagedDPOTrainer

    hf_logging.disable_progress_bar()
    set_seed(config.seed)
    trainer = StagedDPOTrainer(
        model=_with_adapters(_load(parent, config), config),
        ref_model=_load(source if config.reference == "source" else parent, config),
        args=_arguments(config, state),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        data_collator=AgentTokensCollator(pad_token_id=tokenizer.pad_token_id),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressBar(f"DPO {config.objective}"))
    return trainer


def _load(checkpoint: Path, config: StageConfig) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, config.dtype), local_files_only=True
    )
    return model


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


def _arguments(config: StageConfig, state: Path) -> Any:
    from trl import DPOConfig

    return DPOConfig(
        output_dir=str(state),
        beta=config.beta,
        loss_type=[config.loss],
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        warmup_steps=config.warmup_share,
        lr_scheduler_type=config.scheduler,
        max_length=None,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=config.device == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=4 * config.batch_size,
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 500,
        save_total_limit=2,
    )


def _log_table(history: list[dict[str, Any]]) -> pd.DataFrame:
    steps = [entry for entry in history if "loss" in entry]
    return pd.DataFrame(
        [
            {"step": int(entry["step"]), **{ours: float(entry[theirs]) for theirs, ours in LOGGED.items()}}
            for entry in steps
        ]
    )


def _check_losses(log: pd.DataFrame, config: StageConfig) -> None:
    broken = log.index[~log["loss"].map(math.isfinite)]
    if len(broken):
        raise StageFault(f"stage on {config.objective}: the loss is not finite at step {log['step'][broken[0]]}")
    first = float(log["loss"].iloc[0])
    must_start_even = config.reference == "previous" and config.loss == "sigmoid" and config.lora is None
    if must_start_even and abs(first - FIRST_LOSS) > FIRST_LOSS_TOLERANCE:
        raise StageFault(
            f"stage on {config.objective}: the first loss is {first:.4f}, expected ln 2 = {FIRST_LOSS:.4f}: the "
            "reference is not the checkpoint that the stage starts from, or its log-probabilities are stale"
        )


def _save(model: Any, tokenizer: PreTrainedTokenizerBase, parent: Path, target: Path) -> Path:
    """Save the merged model and the parent's tokenizer, with the same bytes for the same weights."""
    import torch

    shutil.rmtree(target, ignore_errors=True)
    if hasattr(model, "merge_and_unload"):
        model = model.to(torch.float32).merge_and_unload()
    model.model_tags = None
    model.config.save_pretrained(target)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def _report(log: pd.DataFrame, n_pairs: int, n_cut: int, config: StageConfig) -> dict[str, Any]:
    first, last = log.iloc[0], log.tail(max(1, len(log) // 10)).mean()
    return {
        "objective": config.objective,
        "n_pairs": n_pairs,
        "n_truncated": n_cut,
        "n_steps": len(log),
        "first_loss": float(first["loss"]),
        "last_loss": float(last["loss"]),
        "chosen_logps_first": float(first["logps_chosen"]),
        "chosen_logps_last": float(last["logps_chosen"]),
        "rejected_logps_first": float(first["logps_rejected"]),
        "rejected_logps_last": float(last["logps_rejected"]),
        "last_margin": float(last["rewards_margin"]),
        "last_accuracy": float(last["accuracy"]),
        "chosen_reward_last": float(last["rewards_chosen"]),
    }
