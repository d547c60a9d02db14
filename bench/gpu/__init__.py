"""``python -m bench gpu``: what one GPU does with this project's work, part by part (docs/bench-gpu.md)."""
