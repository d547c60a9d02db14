"""What is predicted of a stage's and a rollout's memory, against counts of the tensors that are alive."""

from __future__ import annotations

import json
import weakref
from typing import Any

import pytest

from persistence_pipeline.agents.footprint import (
    ModelShape,
    RolloutSize,
    StageSize,
    operations_per_token,
    rollout_memory,
    stage_memory,
)

QWEN2_7B = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "tie_word_embeddings": False,
}
SMALL = {
    "model_type": "qwen2",
    "vocab_size": 300,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "intermediate_size": 640,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
ROWS, TOKENS, RANK = 2, 384, 16


def build(config: dict[str, Any], rank: int | None = None) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = dict(config)
    made = AutoConfig.for_model(fields.pop("model_type"), **fields)
    model = AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16)
    if rank is None:
        return model
    from persistence_pipeline.training.models import with_adapters
    from persistence_pipeline.training.settings import LoraSettings

    return with_adapters(model, LoraSettings(r=rank), 0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["qwen2", "llama", "qwen3", "phi3"])
def test_parameters_are_those_of_transformers(kind: str, tied: bool) -> None:
    config = {**SMALL, "model_type": kind, "tie_word_embeddings": tied, "pad_token_id": 0}
    model = build(config)
    counted = sum(p.numel() for p in model.parameters())
    shape = ModelShape.of(json.loads(model.config.to_json_string()))
    norms_of_heads = 2 * shape.head_size * shape.layers if kind == "qwen3" else 0
    assert shape.parameters + norms_of_heads == counted


def test_adapters_are_those_of_peft() -> None:
    counted = sum(p.numel() for p in build(SMALL, RANK).parameters() if p.requires_grad)
    assert ModelShape.of(SMALL).adapters(RANK) == counted


def test_the_published_size_of_qwen_7b() -> None:
    shape = ModelShape.of(QWEN2_7B)
    assert shape.parameters == pytest.approx(7.62e9, rel=0.001)
    assert operations_per_token(shape, lora=True) == pytest.approx(4 * (6.53e9 + 0.545e9), rel=0.001)
    assert operations_per_token(shape, lora=False, scored_share=0.5) == pytest.approx(6 * 6.80e9, rel=0.001)


def test_a_model_that_is_no_gated_decoder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no size is predicted for gpt2: no 'num_attention_heads'"):
        ModelShape.of({"model_type": "gpt2", "n_embd": 8})


class Alive:
    """Bytes of all tensors that operations make while this is open, at their peak."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def run(self, work: Any) -> int:
        """The peak while a function runs, beside what was there before."""
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_leaves

        alive = self

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = function(*args, **(kwargs or {}))
                for leaf in tree_leaves(out):
                    alive.see(leaf)
                return out

        before = self.peak = self.now
        with Watch():
            work()
        return self.peak - before

    def see(self, tensor: Any) -> None:
        """Count a tensor's storage until it is gone."""
        import torch

        if not isinstance(tensor, torch.Tensor):
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("rank", [RANK, None])
def test_what_the_layers_of_a_step_take_is_predicted_within_a_tenth(
    rank: int | None, checkpointing: bool, products: bool
) -> None:
    """One pass forward and backward under bfloat16 autocast, as the trainer makes it; the head counted by hand."""
    import torch

    from persistence_pipeline.training.attention import use_products

    model = build(SMALL, rank) if rank else build(SMALL).float()
    base = model.get_base_model() if rank else model
    if products:
        use_products(base)
    if checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})
        if rank:
            model.enable_input_require_grads()
    model.train()
    ids = torch.randint(0, 300, (ROWS, TOKENS))
    mask = torch.ones_like(ids)
    mask[0, -9:] = 0
    alive = Alive()
    for weight in model.parameters():
        alive.see(weight)
        if weight.requires_grad:
            weight.grad = torch.zeros_like(weight)  # of the step's batches before
            alive.see(weight.grad)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        hidden.float().sum().backward()

    counted = alive.run(step)
    seen = ROWS * TOKENS**2 if products else 0
    size = StageSize(ROWS, TOKENS, 0, rank, checkpointing, weight_bytes=2 if rank else 4, seen=seen)
    parts = stage_memory(ModelShape.of(SMALL), size)
    predicted = parts["kept"] + parts["at once"]
    if products:  # which repeat no keys and values, and so keep less than what is counted of these
        assert counted < predicted < 1.3 * counted
    else:
        assert counted == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("rank", [RANK, None])
def test_what_a_step_in_float32_takes_is_predicted_within_a_tenth(rank: int | None) -> None:
    """With the head that holds all logits that are scored, as on a CPU; all tokens but the first of each row."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from persistence_pipeline.training.agent_tokens import narrow_head

    config = {**SMALL, "vocab_size": 4096}
    model = build(config, rank).float()
    base = model.get_base_model() if rank else model
    add_fused_lm_head(base)
    narrow_head(base)
    model.train()
    ids = torch.randint(0, 4096, (ROWS, TOKENS))
    alive = Alive()
    for weight in model.parameters():
        alive.see(weight)
        if weight.requires_grad:
            weight.grad = torch.zeros_like(weight)
            alive.see(weight.grad)

    def step() -> None:
        scored = base(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
        scored.log_probs.sum().backward()

    counted = alive.run(step)
    size = StageSize(ROWS, TOKENS, ROWS * (TOKENS - 1), rank, False, 4, 4, tiled=False)
    parts = stage_memory(ModelShape.of(config), size)
    assert counted == pytest.approx(parts["kept"] + parts["at once"], rel=0.1)


def test_what_is_trained_counted_by_hand() -> None:
    shape = ModelShape.of(QWEN2_7B)
    lora = stage_memory(shape, StageSize(2, 2048, 2048))
    assert shape.adapters(16) == 40_370_176
    assert lora["trained"] == 40_370_176 * 4 * 5, "adapters, their copy, gradients, two states"
    assert lora["weights"] == shape.parameters * 2
    assert lora["total"] == sum(value for part, value in lora.items() if part != "total")
    whole = stage_memory(shape, StageSize(2, 2048, 2048, rank=None, weight_bytes=4))
    assert whole["weights"] + whole["trained"] == shape.parameters * 16, "weights, gradients, two states"
    assert whole["at once"] > shape.in_layers * 2, "the layers' weights in bfloat16"


def test_logits_are_laid_out_in_one_tile_at_most() -> None:
    shape = ModelShape.of({**SMALL, "vocab_size": 152064})
    few = stage_memory(shape, StageSize(2, 64, 100))["at once"]
    assert few == 100 * 32768 * 2 + 100 * 128 * 6
    many, more = (stage_memory(shape, StageSize(2, 64, scored))["at once"] for scored in (5000, 6000))
    assert more - many == 1000 * 128 * 6, "the tile is full, only hidden states are added"


@pytest.mark.parametrize("rows", [4, 16])
def test_the_memory_of_a_rollout_is_predicted_within_a_quarter(rows: int) -> None:
    """A real rollout in float32: its cache, its logits and its reading, beside the weights."""
    import torch
    from bench.dialects import make_tokenizer
    from transformers import AutoConfig, AutoModelForCausalLM

    from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
    from persistence_pipeline.rollout.dialect import dialect_of
    from persistence_pipeline.rollout.engine.prefill import share_prefixes
    from persistence_pipeline.rollout.episode import Episode
    from persistence_pipeline.world.splits import WorldSettings, generate_cases

    tokenizer = make_tokenizer()
    fields = {**SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 4096, "num_key_value_heads": 4}
    shape = ModelShape.of(fields)
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    torch.manual_seed(0)  # how long its turns are is drawn, too
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    twins = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
    cases = generate_cases(WorldSettings(phrasing="natural", twins_per_group=twins), 0)[:rows]
    settings = SamplingSettings(max_turn_tokens=64, max_turns=3, batch_size=rows)
    episodes = [Episode(case, policy="p", seed=0, max_turns=3) for case in cases]
    transcript = dialect_of(tokenizer).transcript
    prompts = [transcript.prompt(episode.messages, episode.tools) for episode in episodes]
    prefixes, _ = share_prefixes(prompts)
    counted = Alive().run(lambda: list(BatchedPolicy(model, tokenizer, settings).play(episodes)))
    size = RolloutSize(
        rows,
        max(map(len, prompts)) + 3 * 64 + 2 * 40,
        min(map(len, prefixes)),
        len(prefixes),
        dtype_bytes=4,
    )
    parts = rollout_memory(shape, size)
    assert counted == pytest.approx(parts["total"] - parts["weights"], rel=0.25)
