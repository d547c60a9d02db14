"""Where memory does not suffice, a rollout says which settings to lower."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.projects import HANGS

from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.rollout.run import RolloutError, RolloutSettings, _memory_advice, play
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import bpe_tokenizer, tiny_model

WORLD = WorldSettings(
    phrasing="natural", twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
)
ROWS, ROOM = 400, 150 * 2**20
"""Episodes of a batch, and bytes that the process may take for it: less than it wants."""


def play_in_little_room(checkpoint: Path) -> None:
    """Run in a process of its own, since the limit is that of a process."""
    import resource

    from persistence_pipeline.rollout.episode import Episode

    case = generate_cases(WORLD, 0)[0]
    episodes = [Episode(case, policy="p", seed=0, sample=sample) for sample in range(ROWS)]
    settings = RolloutSettings(samples=ROWS, batch_size=ROWS, max_length=8192, max_turn_tokens=8)
    play(checkpoint, [Episode(case, policy="p", seed=0)], settings, policy="p")  # libraries want room of their own
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, resource.RLIM_INFINITY))
    play(checkpoint, episodes, settings, policy="p")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_a_batch_that_the_host_has_no_memory_for_names_the_settings(tmp_path: Path) -> None:
    tokenizer = bpe_tokenizer("qwen2_5")
    use_family(tokenizer, MODEL_FAMILIES["qwen2_5"])
    checkpoint = tmp_path / "model"
    tiny_model("qwen2", tokenizer, context=8192).save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    module = f"import test_memory, pathlib; test_memory.play_in_little_room(pathlib.Path({str(checkpoint)!r}))"
    paths = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}; "
    done = subprocess.run([sys.executable, "-c", paths + module], capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 1
    fault = done.stderr.splitlines()[-1]
    advice = f"RolloutError: out of memory: lower batch_size (now {ROWS}) or max_length (now 8192) of the rollout."
    assert advice in fault and "DefaultCPUAllocator: can't allocate memory" in fault, done.stderr[-3000:]


def test_only_a_lack_of_memory_is_taken_for_one() -> None:
    settings = RolloutSettings(batch_size=7)
    with (
        pytest.raises(RolloutError, match=r"lower batch_size \(now 7\).* said: MemoryError$"),
        _memory_advice(settings),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes do not fit"), _memory_advice(settings):
        raise RuntimeError("shapes do not fit")
