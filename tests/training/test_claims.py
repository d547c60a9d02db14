"""What is claimed of a stage is checked on disk: reference and policy at the start, the checkpoint at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_dpo import mean_logp, stage

from persistence_pipeline.records import Message
from persistence_pipeline.training import dpo, models
from persistence_pipeline.training.dpo import StageError, StageResult, train_stage
from persistence_pipeline.training.settings import LOSSES, SMOOTHED
from tiny import call, make_pair, make_pairs

LORA = {"r": 4, "alpha": 8, "dropout": 0.0}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def other(make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that no stage here names."""
    return make_checkpoint(tmp_path_factory.mktemp("other") / "model", seed=7)


def weights(checkpoint: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(checkpoint / "model.safetensors")


def smoothed(loss: str) -> dict[str, Any]:
    return {"loss": loss, "label_smoothing": 0.01 if loss in ("exo_pair", "robust") else 0}


def _stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference scored with another mask: observations too."""
    from persistence_pipeline.training.trainer import StagedDPOTrainer

    compute = StagedDPOTrainer.compute_ref_log_probs

    def with_all_tokens(self: Any, model: Any, batch: dict[str, Any]) -> Any:
        return compute(self, model, {**batch, "completion_mask": batch["attention_mask"]})

    monkeypatch.setattr(StagedDPOTrainer, "compute_ref_log_probs", with_all_tokens)


@pytest.mark.parametrize("reference", ["previous", "source"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_wrong_reference_is_noticed_before_the_first_step(
    tiny_checkpoint: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, reference: str
) -> None:
    monkeypatch.setattr(dpo, "_reference", lambda parent, source, config: models.load_model(other, config))
    config = stage(**smoothed(loss), reference=reference)
    with pytest.raises(
        StageError, match=rf"the reference is not .*source \({reference}\): log-probabilities differ"
    ):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "stage")


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("reference", ["previous", "source"])
def test_stale_log_probabilities_are_noticed(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, live: bool
) -> None:
    _stale(monkeypatch)
    config = stage(loss="ipo", reference=reference, precompute_reference=not live)
    with pytest.raises(StageError, match=r"the reference is not .*are stale \(another mask\?\)"):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "stage")


@pytest.mark.parametrize("reference", ["previous", "source"])
@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "apo_zero"])
def test_dropout_that_is_left_on_is_noticed(
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loss: str,
    reference: str,
) -> None:
    from transformers import AutoModelForCausalLM

    source = make_checkpoint(tmp_path / "source", attention_dropout=0.1)
    monkeypatch.setattr(dpo, "load_model", lambda path, config: AutoModelForCausalLM.from_pretrained(path))
    config = stage(loss=loss, reference=reference)
    with pytest.raises(StageError, match=r"the policy before the first step is not .*or dropout is on"):
        train_stage(make_pairs(8), source, source, config, tmp_path / "stage")


def test_a_policy_of_other_weights_is_noticed(
    tiny_checkpoint: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy and reference agree, so the first loss is ln 2, but they are not the parent."""
    load = models.load_model
    monkeypatch.setattr(dpo, "load_model", lambda path, config: load(other, config))
    with pytest.raises(StageError, match="the reference is not"):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, stage(), tmp_path / "previous")
    with pytest.raises(StageError, match="the reference is not"):
        train_stage(
            make_pairs(8), tiny_checkpoint, tiny_checkpoint, stage(precompute_reference=False), tmp_path / "live"
        )


@pytest.mark.parametrize("change", [{}, {"lora": LORA}, {"precompute_reference": False, "lora": LORA}])
def test_bfloat16_stages_pass_their_checks_with_any_batch(
    tiny_checkpoint: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    """In bfloat16 other shapes alone move a loss by more than a thousandth; that is no wrong reference."""
    config = stage(dtype="bfloat16", batch_size=3, **change)
    result = train_stage(make_pairs(20), tiny_checkpoint, tiny_checkpoint, config, tmp_path)
    assert {tensor.dtype.itemsize for tensor in weights(result.checkpoint).values()} == {2}


def test_what_is_reported_is_the_saved_checkpoints(
    tiny_checkpoint: Path, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    """In bfloat16 merging the adapters rounds part of what was learnt away."""
    pairs = make_pairs(12)
    config = stage(dtype="bfloat16", lora=LORA, epochs=2)
    result = train_stage(pairs, tiny_checkpoint, tiny_checkpoint, config, tmp_path)
    for side in ("chosen", "rejected"):
        on_disk = mean_logp(result.checkpoint, tiny_tokenizer, pairs, side)
        assert result.report[f"{side}_logp_after"] == pytest.approx(on_disk, abs=0.02)
    again = train_stage(pairs, result.checkpoint, tiny_checkpoint, config, tmp_path / "next")
    for side in ("chosen", "rejected"):
        assert again.report[f"{side}_logp_before"] == result.report[f"{side}_logp_after"]


@pytest.mark.parametrize("change", [{}, {"lora": LORA}])
def test_another_checkpoint_than_the_trained_policy_is_noticed(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    save = dpo.save_checkpoint

    def spoiled(model: Any, *arguments: Any) -> None:
        model.get_output_embeddings().weight.data.mul_(1.01)
        save(model, *arguments)

    monkeypatch.setattr(dpo, "save_checkpoint", spoiled)
    with pytest.raises(StageError, match=r"the saved checkpoint is not the policy that was trained: .* per token"):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, stage(**change), tmp_path)


@pytest.mark.parametrize(
    ("targets", "tied", "expected"),
    [
        (["q_proj", "q_prj"], False, r"'q_prj' is no module of this model; it has .*q_proj"),
        ("q_proj", False, r"'q_proj' is no module of this model"),
        (["lm_head"], False, r"'lm_head' is the model's lm_head, the output layer"),
        (r".*(lm_head|q_proj)", False, r"the model's lm_head, the output layer"),
        (["embed_tokens", "q_proj"], True, r"embed_tokens, tied to the output layer"),
        (["embed_tokens"], False, r"lora\.dropout: adapters of embeddings know none: set it to 0"),
        (["input_layernorm"], False, r"'input_layernorm'\]: .* not supported"),
    ],
)
def test_adapters_that_cannot_be_are_refused(
    make_checkpoint: Callable[..., Path], tmp_path: Path, targets: Any, tied: bool, expected: str
) -> None:
    source = make_checkpoint(tmp_path / "source", tie_word_embeddings=tied)
    config = stage(lora={**LORA, "dropout": 0.1, "target_modules": targets})
    with pytest.raises(StageError, match=expected) as fault:
        train_stage(make_pairs(4), source, source, config, tmp_path / "stage")
    assert "\n" not in str(fault.value)


def test_embeddings_of_their_own_may_have_adapters(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = stage(lora={**LORA, "target_modules": ["embed_tokens", "q_proj"]})
    result = train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path)
    before, after = weights(tiny_checkpoint), weights(result.checkpoint)
    moved = {name.split(".")[-2] for name in before if not before[name].equal(after[name])}
    assert moved == {"embed_tokens", "q_proj"}


def test_a_device_that_is_not_there_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(StageError, match="device is cuda, but this machine has no GPU"):
        train_stage(make_pairs(4), tiny_checkpoint, tiny_checkpoint, stage(device="cuda"), tmp_path)


def test_small_steps_move_weights_in_bfloat16(
    tiny_checkpoint: Path, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """As they would in float32, but for the rounding when they are saved."""
    import torch
    from transformers import AutoModelForCausalLM

    source = make_checkpoint(tmp_path / "source")
    AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16).save_pretrained(source)
    change = {"learning_rate": 5e-5, "warmup_share": 0, "scheduler": "constant", "epochs": 4}
    runs = {
        dtype: weights(
            train_stage(make_pairs(24), source, source, stage(dtype=dtype, **change), tmp_path / dtype).checkpoint
        )
        for dtype in ("float32", "bfloat16")
    }
    before = weights(source)
    expected, found, start = (
        torch.cat([tensors[name].to(torch.bfloat16).float().flatten() for name in sorted(before)])
        for tensors in (runs["float32"], runs["bfloat16"], before)
    )
    moved = expected != start
    assert moved.float().mean() > 0.3
    assert (found != start)[moved].float().mean() > 0.9
    assert torch.nn.functional.cosine_similarity(expected - start, found - start, dim=0) > 0.9


def test_a_stage_of_one_step_learns(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = stage(batch_size=8, warmup_share=0.5)
    result = train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path)
    assert list(result.log["learning_rate"]) == [config.learning_rate]
    assert result.report["chosen_logp_change"] != 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("equal", "the sides of all 4 pairs are equal within 64 tokens"),
        ("cut", "the sides of all 4 pairs are equal within 10 tokens"),
        ("unknown", "all 12 words of the agent are unknown to the tokenizer"),
        ("slow", r"all weights are those of .*, in float32: no gradient, or a learning rate \(1e-20\)"),
    ],
)
def test_a_stage_that_moves_nothing_is_a_fault_unless_it_is_asked_for(
    tiny_checkpoint: Path, tmp_path: Path, kind: str, expected: str
) -> None:
    prompt = [Message(role="user", content="please")]
    sides = {
        "equal": ([call("read", "f1")], [call("read", "f1")]),
        "cut": ([call("read", "f1"), *[call("finish")] * 2], [call("read", "f1"), *[call("finish")] * 3]),
        "unknown": ([call("lies", "here")], [call("gone")]),
        "slow": ([call("read", "f1")], [call("delete", "f1")]),
    }[kind]
    pairs = [make_pair(prompt, *sides, name=f"p{number}") for number in range(4)]
    change = {"learning_rate": 1e-20 if kind == "slow" else 1e-3, "max_length": 10 if kind == "cut" else 64}
    with pytest.raises(StageError, match=f"nothing was learnt: {expected}.*Set allow_unchanged: true"):
        train_stage(pairs, tiny_checkpoint, tiny_checkpoint, stage(**change), tmp_path / "stage")
    allowed = stage(**change, allow_unchanged=True)
    report = train_stage(pairs, tiny_checkpoint, tiny_checkpoint, allowed, tmp_path / "allowed").report
    assert report["n_equal"] == (4 if kind in ("equal", "cut") else 0)
    assert report["n_unknown"] == (12 if kind == "unknown" else 0)


def test_stages_draw_adapters_of_their_own(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Updates of two stages of an ordering lie in row spaces that overlap as by chance: 4 of 32 dimensions."""
    import torch

    config = stage(lora={**LORA, "target_modules": ["q_proj"]}, epochs=4)
    first = train_stage(make_pairs(16), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "first")
    second = train_stage(
        make_pairs(16, "helpfulness"),
        first.checkpoint,
        tiny_checkpoint,
        config.model_copy(update={"objective": "helpfulness"}),
        tmp_path / "second",
    )
    source, middle, end = map(weights, (tiny_checkpoint, first.checkpoint, second.checkpoint))

    def rows(before: Any, after: Any) -> Any:
        return torch.linalg.svd(after - before)[2][: LORA["r"]]

    names = [name for name in source if "q_proj" in name]
    overlaps = [
        torch.linalg.norm(rows(source[name], middle[name]) @ rows(middle[name], end[name]).T) ** 2 / LORA["r"]
        for name in names
    ]
    assert max(overlaps) < 0.5


def test_a_seed_is_that_of_a_stage(tiny_checkpoint: Path, other: Path) -> None:
    seeds = [
        models.stage_seed(stage(objective=objective, seed=seed), parent)
        for objective in ("safety", "helpfulness")
        for seed in (0, 1)
        for parent in (tiny_checkpoint, other)
    ]
    assert len(set(seeds)) == 8
    assert models.stage_seed(stage(beta=0.05, learning_rate=1.0), tiny_checkpoint) == seeds[0]


@pytest.fixture(scope="module")
def run(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., StageResult]:
    """Two steps on six pairs with some settings; equal settings run once."""
    done: dict[str, StageResult] = {}

    def train(**change: Any) -> StageResult:
        config = stage(**{"batch_size": 3, "warmup_share": 0, "objective": "safety", **change})
        key = config.model_dump_json()
        if key not in done:
            folder = tmp_path_factory.mktemp("stage")
            done[key] = train_stage(
                make_pairs(6, config.objective), tiny_checkpoint, tiny_checkpoint, config, folder
            )
        return done[key]

    return train


def _differ(one: StageResult, two: StageResult) -> bool:
    first, second = weights(one.checkpoint), weights(two.checkpoint)
    return any(not first[name].float().equal(second[name].float()) for name in first)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_reads_what_it_is_given(run: Callable[..., StageResult], loss: str) -> None:
    base = run(**smoothed(loss))
    assert _differ(base, run(**smoothed(loss), beta=0.5))
    if loss in SMOOTHED:
        assert _differ(base, run(loss=loss, label_smoothing=0.3))
    if loss != "sigmoid":
        longer = {"epochs": 3, "learning_rate": 1e-2}  # the order of pairs must change before sorting them matters
        assert _differ(run(**smoothed(loss), **longer), run(**longer))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 2e-3},
        {"epochs": 2},
        {"batch_size": 2},
        {"gradient_accumulation": 2},
        {"warmup_share": 0.5},
        {"scheduler": "linear", "epochs": 2},
        {"scheduler": "polynomial", "epochs": 2},
        {"scheduler": "constant"},
        {"scheduler": "constant_with_warmup", "warmup_share": 0.5},
        {"scheduler": "inverse_sqrt", "warmup_share": 0.5},
        {"max_length": 12},
        {"seed": 1},
        {"dtype": "bfloat16"},
        {"lora": LORA},
    ],
)
def test_every_setting_changes_what_is_learnt(run: Callable[..., StageResult], change: dict[str, Any]) -> None:
    base = run(**{name: value for name, value in change.items() if name == "epochs" and len(change) > 1})
    assert _differ(base, run(**change))


@pytest.mark.parametrize("change", [{"r": 2}, {"alpha": 4}, {"dropout": 0.5}, {"target_modules": ["q_proj"]}])
def test_every_setting_of_adapters_changes_what_is_learnt(
    run: Callable[..., StageResult], change: dict[str, Any]
) -> None:
    assert _differ(run(lora=LORA), run(lora={**LORA, **change}))


def test_settings_of_how_it_is_computed_leave_what_is_learnt(
    run: Callable[..., StageResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaAttention

    calls = []
    forward = LlamaAttention.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return forward(*args, **kwargs)

    base = run()
    monkeypatch.setattr(LlamaAttention, "forward", counted)
    assert not _differ(base, run(device="auto"))
    plain, calls[:] = len(calls), []
    assert not _differ(base, run(gradient_checkpointing=True))
    recomputed, calls[:] = len(calls) - plain, []
    assert recomputed == 2 * 2  # steps, layers
    assert not _differ(base, run(precompute_reference=False))
    assert len(calls) > plain
    assert not _differ(base, run(save_every=1))
