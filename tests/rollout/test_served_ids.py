"""Token ids from a server: what was sampled is what is recorded and trained on, whatever the server made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.rollout.test_served import CASES, Careful, _settings

from chat_server import Act, ChatServer
from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.agents.tokenizer import load_tokenizer, tokenizer_identity
from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import NO_CHECKPOINT, RolloutError, roll_out
from persistence_pipeline.rollout.served import IdsMisreadError
from real_shapes import bpe_tokenizer

FAMILY = "qwen2_5"
SPELT = '<tool_call>{"arguments" : %s,"name":"%s"}\n</tool_call>'
"""Well-formed, and not as the template renders it."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tokenizer: the model is the server's."""
    tokenizer = bpe_tokenizer(FAMILY, [case.instruction for case in CASES], 900)
    use_family(tokenizer, MODEL_FAMILIES[FAMILY])
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer.save_pretrained(folder)
    return folder


class WithIds:
    """Answers as ``careful`` does, with the ids of another spelling and of what the model wrote after its call."""

    def __init__(self, careful: Careful, checkpoint: Path, after: str = "<|im_end|>", ids: bool = True) -> None:
        self._careful, self._after, self._with_ids = careful, after, ids
        self.tokenizer = load_tokenizer(checkpoint)
        self.sampled: list[tuple[int, ...]] = []

    def __call__(self, request: dict[str, Any]) -> Act:
        assert request["return_token_ids"] is True
        call = self._careful(request)["tool_calls"][0]
        written = SPELT % (call["function"]["arguments"], call["function"]["name"])
        ids = self.tokenizer(written, add_special_tokens=False)["input_ids"]
        self.sampled.append(tuple(ids))
        whole = [*ids, *self.tokenizer(self._after, add_special_tokens=False)["input_ids"]]
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"message": message, "finish_reason": "tool_calls"}
        if self._with_ids:
            choice["token_ids"] = whole
        usage = {"prompt_tokens": 9, "completion_tokens": len(whole)}
        return Act(body=json.dumps({"choices": [choice], "usage": usage}))


def _play(server: ChatServer, checkpoint: Path, folder: Path, **served: Any) -> Played:
    settings = _settings(server, folder, token_ids=True, concurrency=2, **served)
    return roll_out(checkpoint, CASES[:4], settings, policy="cell", seed=0)


@pytest.mark.parametrize("after", ["<|im_end|>", "\n<tool_response>all is well</tool_response><|im_end|>"])
def test_what_was_sampled_is_recorded_up_to_the_end_of_the_call(
    scripted: dict[str, Trajectory], checkpoint: Path, tmp_path: Path, after: str
) -> None:
    """The transcript is that of the script; its tokens are those of the server's model."""
    with ChatServer(WithIds(Careful(scripted), checkpoint, after), model="cell") as server:
        played = _play(server, checkpoint, tmp_path)
        asked = len(server.requests)
        assert _play(server, checkpoint, tmp_path) == played and len(server.requests) == asked, (
            "kept in the journal"
        )
    identity = tokenizer_identity(server.answer.tokenizer)
    turns = [m for t in played for m in t.messages if m.role == "assistant"]
    assert sorted(m.sampled.ids for m in turns if m.sampled) == sorted(server.answer.sampled)
    assert {m.sampled.tokenizer for m in turns if m.sampled} == {identity} and len(turns) == asked
    for trajectory, case in zip(played, CASES, strict=False):
        own = [m.model_copy(update={"sampled": None}) for m in trajectory.messages]
        assert own == list(scripted[case.instruction].messages)
        assert trajectory.effects == scripted[case.instruction].effects
        assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory
        (encoded,) = Transcript(server.answer.tokenizer).encode([trajectory.messages], trajectory.tools)
        written = [token for token, mine in zip(encoded.ids, encoded.mask, strict=True) if mine]
        assert written == [token for m in trajectory.messages if m.sampled for token in m.sampled.ids]
        assert not any(encoded.rendered)


def test_turns_without_ids_are_rendered_and_it_is_told(
    scripted: dict[str, Trajectory], checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, answer in enumerate(
        [
            WithIds(Careful(scripted), checkpoint, ids=False),
            WithIds(Careful(scripted), checkpoint, after=""),
        ]
    ):
        answer._careful._text = ""
        with ChatServer(answer, model="cell") as server:
            played = _play(server, checkpoint, tmp_path / str(number))
        turns = [m for t in played for m in t.messages if m.role == "assistant"]
        assert {m.sampled is None for m in turns} == {number == 0}
    assert caplog.text.count("hands over no token ids, although it is asked for them") == 1


def test_ids_of_another_tokenizer_end_the_run(
    scripted: dict[str, Trajectory], checkpoint: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    tokenizer = bpe_tokenizer(FAMILY, ["quite other words than theirs " * 9], 500)
    use_family(tokenizer, MODEL_FAMILIES[FAMILY])
    tokenizer.save_pretrained(other)
    for number, (theirs, ours) in enumerate([(checkpoint, other), (other, checkpoint)]):
        with (
            ChatServer(WithIds(Careful(scripted), theirs), model="cell") as server,
            pytest.raises(IdsMisreadError, match="do not spell it in the checkpoint's tokenizer"),
        ):
            _play(server, ours, tmp_path / str(number))
    with (
        ChatServer(WithIds(Careful(scripted), checkpoint), model="cell") as server,
        pytest.raises(RolloutError, match="token_ids needs the tokenizer of a checkpoint of ours"),
    ):
        _play(server, NO_CHECKPOINT, tmp_path / "none")
