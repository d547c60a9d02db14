"""Which sides of pairs a stage cut at its ``max_length`` tokens.

A stage counts what it cuts and keeps no names (``training/encoding.py``). Here the tokens are counted again, for
agents that are trained from scratch: theirs are words, so that any vocabulary counts as many and no checkpoint is
read. Where it comes to another number than the stage's, nothing is said of which ones they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from persistence_pipeline.records import Message, PreferencePair
from persistence_pipeline.study.policies import parse_policies


@dataclass(frozen=True)
class Stage:
    """A stage that cut something."""

    cell: str
    """The agent that it made."""
    pairs: str
    """The name of the set of pairs that taught it."""
    max_length: int
    n_cut: int
    """Distinct conversations that it cut, as it counted them itself."""


def stages_that_cut(summary: Mapping[str, Any]) -> list[Stage]:
    """The stages of a study that cut trajectories, of agents that are trained from scratch."""
    parameters = summary["run"]["parameters"]
    policies = parse_policies(parameters["policies"])
    stages = []
    for report in summary["audits"]["training"]:
        policy = policies[report["cell"]]
        if report["n_truncated"] and not policies[policy.origin].pretrained:
            length = policy.levels().get(("max_length",), parameters["training"][policy.objective]["max_length"])
            pairs = f"{policy.origin}__{policy.objective}"
            stages.append(Stage(policy.name, pairs, length, report["n_truncated"]))
    return stages


@dataclass(frozen=True)
class CutSides:
    """What is known of the sides that were cut."""

    limits: Mapping[str, int] = field(default_factory=dict)
    """By agent, tokens after which its last stage cut."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """By conversation, how many it has, of those that some stage cut."""

    def length(self, pair: PreferencePair, side: Sequence[Message]) -> int | None:
        """Tokens of the prompt and a side, where a stage cut it."""
        return self.tokens.get(_key(pair, side))


def find_cut(pairs: Mapping[str, Sequence[PreferencePair]], stages: Sequence[Stage]) -> CutSides:
    """The sides that stages cut.

    Args:
        pairs: By the name of a set.
        stages: Of agents whose tokens are words, those that cut something.
    """
    limits: dict[str, int] = {}
    tokens: dict[str, int] = {}
    counted = {name: count_tokens(pairs[name]) for name in {stage.pairs for stage in stages}}
    for stage in stages:
        longer = {key: count for key, count in counted[stage.pairs].items() if count > stage.max_length}
        if len(longer) == stage.n_cut:
            limits[stage.cell] = stage.max_length
            tokens |= longer
    return CutSides(limits, tokens)


def count_tokens(pairs: Sequence[PreferencePair]) -> dict[str, int]:
    """Tokens of every distinct conversation of pairs, prompt and side, in the compact dialect."""
    from persistence_pipeline.agents.tokenizer import train_tokenizer
    from persistence_pipeline.agents.transcript import Transcript

    transcript = Transcript(train_tokenizer(()))
    by_tools: dict[str, dict[str, list[Message]]] = {}
    for pair in pairs:
        own = by_tools.setdefault(json.dumps(pair.tools), {})
        for side in (pair.chosen, pair.rejected):
            own[_key(pair, side)] = [_of(transcript.identity, message) for message in (*pair.prompt, *side)]
    return {
        key: len(encoded.ids)
        for tools, named in by_tools.items()
        for key, encoded in zip(named, transcript.encode(list(named.values()), json.loads(tools)), strict=True)
    }


def _of(tokenizer: str, message: Message) -> Message:
    """A message whose sampled tokens count as those of a tokenizer: special ones are the same in all of words."""
    if message.sampled is None:
        return message
    return message.model_copy(update={"sampled": message.sampled.model_copy(update={"tokenizer": tokenizer})})


def _key(pair: PreferencePair, side: Sequence[Message]) -> str:
    return "\n".join([json.dumps(pair.tools), *(message.model_dump_json() for message in (*pair.prompt, *side))])
