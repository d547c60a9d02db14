"""One stage on pairs of one's own: run it where ``data/`` is."""

from pathlib import Path

from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.dpo import train_stage
from persistence_pipeline.training.settings import StageConfig

source = Path("data/06_models/llama_s0")
lines = Path("data/05_model_input/llama_s0/pairs_safety.jsonl").read_text("utf-8").splitlines()
pairs = [PreferencePair.model_validate_json(line) for line in lines]
config = StageConfig(
    objective="safety", beta=0.1, learning_rate=3e-4, batch_size=16, max_length=128, rendered_turns=True
)

result = train_stage(pairs, parent=source, source=source, config=config, scratch=Path("data/.scratch/mine"))
print(result.checkpoint, result.report["chosen_logp_change"])
