"""Rollouts over HTTP: ``transformers serve`` asked many at a time, against one request and one episode at a time.

The model is that of ``bench.dialects``, saved where the server finds it; server and client share the machine. What
the client gains where it is the server's time that counts, as with a hosted model, is measured on one that only
waits.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from tests.chat_server import ChatServer

from bench import dialects, materials
from bench.server import transformers_server
from bench.timing import Row, seconds, speed_up
from persistence_pipeline.rollout.batched import SamplingSettings
from persistence_pipeline.rollout.served import ServedModel, ServedPolicy

AT_ONCE = 8
"""Requests at once at which this server was fastest."""
WIDE = 32
"""Played once: on a CPU the server is slower with more requests at once."""
ALONE = 8
"""Episodes of the sides that go one at a time; their time is scaled to that of all."""
TARGET = 8
REPLY_S = 0.25
"""Seconds that the waiting server takes for a reply, whatever else it is asked meanwhile."""
BATCHING = ("--continuous-batching", "--cb-num-blocks=256", "--cb-max-batch-tokens=1024")
AS_TEXT = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {"content": {"close": "<|im_end|>", "content": "text"}},
}
"""What the server reads in an answer: text alone. Calls that are not JSON, as random weights write them, it would
answer with status 500."""


def measure(repeats: int) -> list[Row]:
    """The rows of served rollouts; the sides take turns, and the rows share the turns of a side."""
    tokenizer, model = dialects._model()
    folder = _saved(tokenizer, model)
    scale = dialects.EPISODES / ALONE
    several, single, alone = [], [], []
    with transformers_server(materials.WORK / "served.log", *BATCHING) as (address, server):
        _play(address, folder, 1, 1)  # the server loads the model
        for _ in range(repeats):
            several.append(seconds(lambda: _play(address, folder, dialects.EPISODES, AT_ONCE)))
            single.append(scale * seconds(lambda: _play(address, folder, ALONE, 1)))
            alone.append(scale * seconds(lambda: _play_alone(model, tokenizer)))
        wide = [seconds(lambda: _play(address, folder, dialects.EPISODES, WIDE))]
        before = _processor_seconds(server)
        _play(address, folder, ALONE, AT_ONCE)
        spent = [after - was for was, after in zip(before, _processor_seconds(server), strict=True)]
    in_process = "one episode at a time with `generate`, in process"
    rows = [
        _row("served", AT_ONCE, in_process, several, alone),
        _row("served_wide", WIDE, in_process, wide, alone),
        _row("served_single", AT_ONCE, "the same server, one request at a time", several, single),
    ]
    per_episode = {f"{side}_cpu_s": cpu / ALONE for side, cpu in zip(("client", "server"), spent, strict=True)}
    rows[0].details.update(per_episode)
    return [*rows, _waiting_row(repeats)]


def _waiting_row(repeats: int) -> Row:
    """Many requests at once against one, of a server whose replies take long and cost it nothing."""
    with ChatServer(_take_time) as server:

        def play(episodes: int, at_once: int) -> None:
            served = ServedModel(
                base_url=server.base_url, model=server.model, family="qwen2_5", concurrency=at_once
            )
            settings = SamplingSettings(max_turn_tokens=dialects.TURN_TOKENS, max_turns=dialects.TURNS)
            ended = list(ServedPolicy(served, settings, None).play(dialects._episodes()[:episodes]))
            assert sum(int(episode.trajectory().flags["calls"]) for episode in ended) == episodes * dialects.TURNS

        return speed_up(
            "served_waiting",
            f"rollouts over HTTP, {dialects.EPISODES} episodes, {WIDE} requests at once, {REPLY_S} s a reply",
            "the same server, one request at a time",
            lambda: play(dialects.EPISODES, WIDE),
            lambda: play(ALONE, 1),
            target=TARGET,
            repeats=repeats,
            scale=dialects.EPISODES / ALONE,
            note=f"{ALONE} episodes, scaled",
        )


def _take_time(_: dict[str, Any]) -> str:
    time.sleep(REPLY_S)
    return "I am still thinking."


def _processor_seconds(server: int) -> tuple[float, float]:
    """Processor time of this process and of the server so far."""
    import psutil

    return time.process_time(), sum(psutil.Process(server).cpu_times()[:2])


def _row(name: str, at_once: int, against: str, ours: list[float], theirs: list[float]) -> Row:
    what = f"rollouts over HTTP, {dialects.EPISODES} episodes, {at_once} requests at once, server on the same CPU"
    ratio = statistics.median(theirs) / statistics.median(ours)
    note = f"{ALONE} episodes, scaled"
    return Row(name, what, against, ours, theirs, ratio, TARGET, faster=True, note=note)


def _play_alone(model: Any, tokenizer: Any) -> None:
    for episode in dialects._episodes()[:ALONE]:
        dialects._play_alone(episode, model, tokenizer)


def _play(address: str, folder: Path, episodes: int, at_once: int) -> None:
    """Play through the server, and see that every turn was written to its limit, as on the other sides."""
    served = ServedModel(
        base_url=address, model=str(folder), family="qwen2_5", concurrency=at_once, timeout_s=300, retries=0
    )
    settings = SamplingSettings(max_turn_tokens=dialects.TURN_TOKENS, max_turns=dialects.TURNS)
    ended = list(ServedPolicy(served, settings, None).play(dialects._episodes()[:episodes]))
    written = sum(int(episode.trajectory().flags["new_tokens"]) for episode in ended)
    assert written > 0.95 * episodes * dialects.TURNS * dialects.TURN_TOKENS, written


def _saved(tokenizer: Any, model: Any) -> Path:
    folder = materials.WORK / "served"
    model.generation_config.update(do_sample=True, top_k=0, pad_token_id=tokenizer.pad_token_id)
    tokenizer.response_template = AS_TEXT
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
