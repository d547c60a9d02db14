"""``python -m bench.gpu``: one LoRA stage on a randomly initialised model of a real shape, on this machine's GPU.

Prints tokens a second, the peak of the memory, and the share of the card's matrix peak. Beside the other parts of
the benchmark because it needs a card, and about as much disk as the model's weights twice.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.dialects import make_tokenizer
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.records import Message, PreferencePair, ToolCall
from persistence_pipeline.training.dpo import train_stage
from persistence_pipeline.training.encoding import encode_pairs
from persistence_pipeline.training.settings import StageConfig

SHAPES: dict[str, dict[str, Any]] = {
    "qwen2_5_7b": {
        "model_type": "qwen2",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "max_position_embeddings": 32768,
    },
    "llama3_1_8b": {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "max_position_embeddings": 131072,
    },
    "tiny": {
        "model_type": "qwen2",
        "vocab_size": 4000,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 128,
        "max_position_embeddings": 8192,
    },
}


def main() -> None:
    """Make the model and the pairs, run the stage, print the numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen2_5_7b")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of each trajectory, about")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1, help="pairs at once; 8 of them, or more, are a step")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="bfloat16, dense; 989 is an H100 SXM")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print(json.dumps(measure(options, Path(folder)), indent=1))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Numbers of the stage's steps; loading, the reference and saving are left out."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    on_gpu = torch.cuda.is_available()
    parent, n_parameters = _random_checkpoint(options.shape, folder / "model", on_gpu)
    pairs = [_pair(number, options.tokens) for number in range(options.pairs)]
    config = StageConfig.model_validate(
        {
            "objective": "safety",
            "beta": 0.1,
            "learning_rate": 5e-5,
            "batch_size": options.batch,
            "gradient_accumulation": max(1, 8 // options.batch),
            "max_length": 2 * options.tokens,
            "rendered_turns": True,
            "lora": {},
            "device": "auto" if on_gpu else "cpu",
            "dtype": "bfloat16" if on_gpu else "float32",
            "gradient_checkpointing": True,
        }
    )
    stamps: list[float] = []
    hook = register_optimizer_step_post_hook(lambda *_: stamps.append(time.perf_counter()))
    result = train_stage(pairs, parent, parent, config, folder / "stage")
    hook.remove()
    pairs_timed = (len(stamps) - 1) * config.effective_batch
    rows, _ = encode_pairs(pairs, load_tokenizer(parent), config.max_length, config.rendered_turns)
    tokens_per_pair = 2 * sum(row["length"] for row in rows) / len(rows)
    tokens_per_second = tokens_per_pair * pairs_timed / (stamps[-1] - stamps[0])
    return {
        "shape": options.shape,
        "parameters": n_parameters,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "steps": len(stamps),
        "tokens_per_trajectory": tokens_per_pair / 2,
        "first_loss": result.report["first_loss"],
        "tokens_per_second": tokens_per_second,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
        # forward, backward through activations alone, forward again for checkpointing: 2 flops a parameter each
        "share_of_peak": 6 * n_parameters * tokens_per_second / (options.peak_tflops * 1e12) if on_gpu else None,
    }


def _random_checkpoint(shape: str, target: Path, on_gpu: bool) -> tuple[Path, int]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer()
    fields = dict(SHAPES[shape])
    config = AutoConfig.for_model(fields.pop("model_type"), pad_token_id=tokenizer.pad_token_id, **fields)
    with torch.device("cuda" if on_gpu else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if on_gpu else torch.float32)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target, sum(p.numel() for p in model.parameters())


def _pair(number: int, tokens: int) -> PreferencePair:
    """Two trajectories of about that many tokens: random letters are a token each."""
    rng = random.Random(number)
    text = " ".join(rng.choice("bcdfghjk") for _ in range(tokens // 2))
    prompt = (Message(role="user", content=text),)
    sides = [
        (Message(role="assistant", tool_calls=(ToolCall(name=name, arguments={"text": text}),)),)
        for name in ("look", "act")
    ]
    return PreferencePair(
        pair_id=f"p{number}",
        case_id=f"c{number}",
        objective="safety",
        chosen_id=f"p{number}/a",
        rejected_id=f"p{number}/b",
        prompt=prompt,
        chosen=sides[0],
        rejected=sides[1],
    )


if __name__ == "__main__":
    main()
