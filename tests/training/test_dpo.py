"""One DPO stage: exact log-probabilities, an explicit reference, equal bytes for equal inputs, kill and resume."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _stage
import pytest
from _stage import stage
from tests.projects import HANGS

from persistence_pipeline.agents.transcript import encode_conversation
from persistence_pipeline.records import Message, PreferencePair
from persistence_pipeline.training.dpo import StageError, train_stage
from tiny import call, make_pair, make_pairs, tool


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def logp(checkpoint: Path, tokenizer: Any, conversation: tuple[Message, ...]) -> float:
    """Sum over the agent's tokens of the log-softmax of the plain model, one sequence at a time."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    ids, mask = encode_conversation(tokenizer, conversation)
    with torch.no_grad():
        table = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
    return sum(float(table[i - 1, ids[i]]) for i in range(1, len(ids)) if mask[i])


def mean_logp(checkpoint: Path, tokenizer: Any, pairs: list[PreferencePair], side: str) -> float:
    return sum(logp(checkpoint, tokenizer, (*p.prompt, *getattr(p, side))) for p in pairs) / len(pairs)


@pytest.fixture(scope="module")
def first_stage(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("stages") / "safety"
    return train_stage(make_pairs(16), tiny_checkpoint, tiny_checkpoint, stage(batch_size=16, epochs=4), folder)


def test_log_probabilities_are_those_of_the_agents_tokens(
    first_stage: Any, tiny_checkpoint: Path, tiny_tokenizer: Any
) -> None:
    pairs = make_pairs(16)
    for side in ("chosen", "rejected"):
        before = mean_logp(tiny_checkpoint, tiny_tokenizer, pairs, side)
        after = mean_logp(first_stage.checkpoint, tiny_tokenizer, pairs, side)
        assert first_stage.report[f"{side}_logp_before"] == pytest.approx(before, abs=1e-5)
        assert first_stage.report[f"{side}_logp_after"] == pytest.approx(after, abs=1e-5)
        assert first_stage.log[f"logps_{side}"][0] == pytest.approx(before, abs=1e-5)


def test_a_stage_starts_at_ln_2_and_reports_what_it_did(first_stage: Any) -> None:
    assert first_stage.report["first_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first_stage.report["n_pairs"] == 16
    assert first_stage.report["n_truncated"] == 0
    assert first_stage.report["n_steps"] == len(first_stage.log) == 4
    assert list(first_stage.log.columns[:2]) == ["step", "loss"]
    assert json.loads(json.dumps(first_stage.report)) == first_stage.report


def test_a_checkpoint_differs_from_its_parent_in_weights_alone(first_stage: Any, tiny_checkpoint: Path) -> None:
    parent, child = digests(tiny_checkpoint), digests(first_stage.checkpoint)
    assert parent.keys() == child.keys()
    assert {name for name in parent if parent[name] != child[name]} == {"model.safetensors"}


def test_training_prefers_the_chosen(tiny_checkpoint: Path, tmp_path: Path) -> None:
    result = train_stage(make_pairs(64), tiny_checkpoint, tiny_checkpoint, stage(epochs=2), tmp_path)
    assert result.report["last_loss"] < 0.6
    assert result.report["last_accuracy"] > 0.9
    assert result.report["chosen_logp_change"] > result.report["rejected_logp_change"]


def test_an_observation_is_not_trained_on(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    """With a context-free model, other words in an observation leave the trained weights as they are."""
    import torch
    from safetensors.torch import load_file, save_file

    source = make_checkpoint(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    for name in weights:
        if "o_proj" in name:
            weights[name] = torch.zeros_like(weights[name])
    save_file(weights, source / "model.safetensors", {"format": "pt"})

    def embedding_change(word: str) -> Any:
        turns = [call("read", "f1"), tool(word), call("finish")]
        pair = make_pair([Message(role="user", content="please")], turns, [call("delete", "f1"), call("finish")])
        config = stage(batch_size=1, warmup_share=0, scheduler="constant")
        result = train_stage([pair], source, source, config, tmp_path / word)
        return load_file(result.checkpoint / "model.safetensors")["lm_head.weight"] - weights["lm_head.weight"]

    first, second = embedding_change("shared"), embedding_change("plain")
    assert torch.equal(first, second)
    assert first.abs().max() > 0


def test_the_reference_may_be_the_source(first_stage: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    pairs = make_pairs(16, objective="helpfulness", seed=1)
    config = stage(objective="helpfulness", reference="source", batch_size=16)
    strong = train_stage(make_pairs(64), tiny_checkpoint, tiny_checkpoint, stage(epochs=2), tmp_path / "parent")
    to_source = train_stage(pairs, strong.checkpoint, tiny_checkpoint, config, tmp_path / "source")
    assert abs(to_source.report["first_loss"] - math.log(2)) > 0.01
    assert to_source.log["rewards_margin"][0] > 0.01
    live = config.model_copy(update={"precompute_reference": False})
    again = train_stage(pairs, strong.checkpoint, tiny_checkpoint, live, tmp_path / "live")
    assert again.report["first_loss"] == pytest.approx(to_source.report["first_loss"], abs=1e-6)
    previous = config.model_copy(update={"reference": "previous", "precompute_reference": False})
    even = train_stage(pairs, strong.checkpoint, tiny_checkpoint, previous, tmp_path / "previous")
    assert even.report["first_loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_a_loss_that_is_not_finite_ends_the_stage(tiny_checkpoint: Path, tmp_path: Path) -> None:
    wild = stage(learning_rate=1e30, epochs=3, warmup_share=0, scheduler="constant")
    with pytest.raises(StageError, match=r"loss at step .* is nan; lower the learning rate"):
        train_stage(make_pairs(16), tiny_checkpoint, tiny_checkpoint, wild, tmp_path)


@pytest.mark.parametrize("loss", ["hinge", "ipo", "sppo_hard", "apo_zero", "aot", "exo_pair"])
def test_other_losses_run(tiny_checkpoint: Path, tmp_path: Path, loss: str) -> None:
    config = stage(loss=loss, label_smoothing=0.01 if loss == "exo_pair" else 0)
    result = train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path)
    assert math.isfinite(result.report["first_loss"])


def test_adapters_are_merged_and_keep_their_dropout(tiny_checkpoint: Path, tmp_path: Path) -> None:
    lora = {"r": 4, "alpha": 8, "dropout": 0.5}
    runs = {
        dropout: train_stage(
            make_pairs(32),
            tiny_checkpoint,
            tiny_checkpoint,
            stage(lora={**lora, "dropout": dropout}, learning_rate=1e-2),
            tmp_path / f"{dropout}",
        )
        for dropout in (0.0, 0.5)
    }
    for run in runs.values():
        assert run.report["first_loss"] == pytest.approx(math.log(2), abs=1e-5)
        assert digests(run.checkpoint).keys() == digests(tiny_checkpoint).keys()
        assert run.report["chosen_logp_change"] != 0
    assert runs[0.0].log["loss"].iloc[-1] != runs[0.5].log["loss"].iloc[-1]
    second = train_stage(
        make_pairs(16), runs[0.0].checkpoint, tiny_checkpoint, stage(lora=lora), tmp_path / "second"
    )
    assert second.report["first_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert second.report["chosen_logp_before"] != pytest.approx(runs[0.0].report["chosen_logp_before"], abs=0.1)


def _in_a_process(source: Path, scratch: Path, kill_at: int, kind: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, _stage.__file__, str(source), str(scratch), str(kill_at), kind]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_equal_bytes_in_every_process_and_after_a_kill(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Steps 5 (first epoch) and 9 (second epoch); the trainer's state is saved every four."""
    kills = {"full": 5, "lora": 9}
    running = {kind: _in_a_process(tiny_checkpoint, tmp_path / kind, at, kind) for kind, at in kills.items()}
    for kind, process in running.items():
        assert process.wait(HANGS) == -9
        saved = max((tmp_path / kind / "trainer").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
        assert saved.name == f"checkpoint-{4 * (kills[kind] // 4)}"
    torn = tmp_path / "full" / "trainer" / "checkpoint-5"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 5')
    running = {kind: _in_a_process(tiny_checkpoint, tmp_path / kind, 0, kind) for kind in kills}
    for kind, process in running.items():
        whole = train_stage(
            make_pairs(48),
            tiny_checkpoint,
            tiny_checkpoint,
            _stage.config(kind == "lora"),
            tmp_path / f"whole-{kind}",
        )
        assert process.wait(HANGS) == 0
        assert digests(tmp_path / kind / "checkpoint") == digests(whole.checkpoint)
        assert not (tmp_path / kind / "trainer").exists()


def test_a_resumed_stage_trains_only_what_is_left(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of an interrupted and resumed stage is that of a whole one; another config starts anew."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps: list[int] = []

    class InterruptionError(Exception):
        pass

    def interrupt(*_: object) -> None:
        steps.append(len(steps))
        if len(steps) == 9:
            raise InterruptionError

    hook = register_optimizer_step_post_hook(interrupt)
    try:
        with pytest.raises(InterruptionError):
            _stage.run(tiny_checkpoint, tmp_path / "stage")
        resumed = train_stage(
            make_pairs(48), tiny_checkpoint, tiny_checkpoint, _stage.config(False), tmp_path / "stage"
        )
        assert len(steps) == 9 + 4
        steps[:] = [0] * 20
        whole = train_stage(
            make_pairs(48), tiny_checkpoint, tiny_checkpoint, _stage.config(False), tmp_path / "whole"
        )
        assert len(steps) == 20 + 12
    finally:
        hook.remove()
    assert resumed.log.equals(whole.log)
    assert resumed.report == whole.report
    assert torch.get_num_threads() == 1


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    from persistence_pipeline.training.trainer import EpochSampler

    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(4, [index % 7 for index in range(40)], seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert orders == [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(map(tuple, orders))) == 4
    assert all(sorted(o) == list(range(40)) for o in orders)


@pytest.mark.parametrize("change", [{"learning_rate": 2e-3}, {"seed": 4}, {"beta": 0.2}])
def test_state_of_another_stage_is_not_continued(
    change: dict[str, Any], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    from persistence_pipeline.training.scratch import StageScratch, fingerprint

    config = stage()
    first = fingerprint(config.model_dump(), [tiny_checkpoint])
    scratch = StageScratch.open(tmp_path, first)
    saved = scratch.trainer / "checkpoint-4"
    saved.mkdir(parents=True)
    (saved / "trainer_state.json").write_text("{}")
    bystander = tmp_path / "notes.txt"
    bystander.write_text("keep")
    assert StageScratch.open(tmp_path, first).last_saved() == str(saved)
    other = fingerprint(config.model_copy(update=change).model_dump(), [tiny_checkpoint])
    assert StageScratch.open(tmp_path, other).last_saved() is None
    assert bystander.exists()


def test_bad_input_is_refused(tiny_checkpoint: Path, make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stage on safety: no preference pairs"):
        train_stage([], tiny_checkpoint, tiny_checkpoint, stage(), tmp_path)
    with pytest.raises(ValueError, match="stage on safety: pair p0 is ordered by helpfulness"):
        train_stage(make_pairs(1, "helpfulness"), tiny_checkpoint, tiny_checkpoint, stage(), tmp_path)
    short = make_checkpoint(tmp_path / "short", max_position_embeddings=16)
    with pytest.raises(ValueError, match=r"a trajectory has \d+ tokens, the model's context 16: lower max_length"):
        train_stage(make_pairs(4), short, short, stage(), tmp_path / "stage")
