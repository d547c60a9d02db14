"""Rollouts of a model behind an OpenAI-compatible server: many episodes at a time, each asked turn by turn.

Of a reply only the first call is taken: what a model writes after it, an observation of its own making included,
never reaches the transcript. Replies are kept in a journal, from which an interrupted rollout goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from persistence_pipeline.agents.calls import read_call
from persistence_pipeline.agents.compact import ParseError
from persistence_pipeline.agents.families import MODEL_FAMILIES, FamilyName, family_of, made_safe
from persistence_pipeline.llm_client import (
    ChatClient,
    ChatReply,
    ChatRequest,
    ContextTooLongError,
    RequestRefusedError,
    RetriesExhaustedError,
    ServerSettings,
    ServingError,
    UnreadableCallError,
)
from persistence_pipeline.preferences.export import openai_messages
from persistence_pipeline.rollout.batched import SamplingSettings
from persistence_pipeline.rollout.dialect import dialect_of
from persistence_pipeline.rollout.episode import Episode, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

UNEXPLAINED = "the server answered every attempt with status 500, and another request with a reply"
MISNAMED = 10
"""Calls of tools that were not offered from which on, without any other, the server is at fault."""
SHOWN = 3
"""Names that a message lists."""
FEWEST_TURNS = 100
"""Turns that a rollout is taken to have at least where a share of them is meant."""


class ServedModel(ServerSettings):
    """A server and what it serves; ``{checkpoint}`` and ``{policy}`` in ``model`` name what is played."""

    family: FamilyName | None = None
    """How calls are parsed where the server leaves them in the text; none: it hands calls over as calls."""
    keep_journal: bool = False
    """Keep the replies when the trajectories of a whole rollout have been saved; else they are removed then."""
    token_ids: bool = False
    """Ask for the ids of the tokens that the model wrote (``return_token_ids``: vLLM, SGLang), and read its turns
    from them with the checkpoint's own tokenizer, as in process. Training then scores what was sampled."""
    unreadable_turns: float = Field(0.0, ge=0, lt=1)
    """For servers that answer 500, and nothing more, where the model's own call cannot be read: the largest share
    of a rollout's turns (of 100 at least) that may end so although the server answers other requests. Each counts
    as an invalid call. 0: the first ends the run."""

    def named(self, checkpoint: Path, policy: str) -> ServedModel:
        """With the id under which the server offers this checkpoint."""
        model = self.model.replace("{checkpoint}", str(checkpoint.resolve())).replace("{policy}", policy)
        return self.model_copy(update={"model": model})


class CallsMisreadError(ServingError):
    """The server does not hand over the calls that the model writes."""


class IdsMisreadError(ServingError):
    """The ids that a server hands over are not those of the checkpoint's tokenizer."""


class ServedPolicy:
    """Plays episodes by asking a server.

    Args:
        served: The server and the id of the model.
        settings: Sampling; ``batch_size`` and ``max_length`` are the server's own affair.
        journal: File of the replies so far.
        tokenizer: That of the checkpoint that is served, where turns are to be read from ids.
    """

    def __init__(
        self,
        served: ServedModel,
        settings: SamplingSettings,
        journal: Path | None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self._served = served
        self._family = family_of(served.family) if served.family else None
        self._settings = settings
        self._client = ChatClient(served, journal)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._turns = self._unreadable = 0
        self._ids = ReadIds(tokenizer, served) if tokenizer is not None else None
        self._offered: Counter[str] = Counter()
        self._not_offered: Counter[str] = Counter()
        self.passing_journal = None if served.keep_journal else journal
        """The journal, where nothing needs it once the trajectories of a whole rollout have been saved."""

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes, as many at once as the server is asked; yields each as it ends.

        Raises:
            ServingError: one that further requests would share; what has been answered is in the journal.
        """
        pool = ThreadPoolExecutor(self._served.concurrency, thread_name_prefix="episode")
        try:
            for future in as_completed([pool.submit(self._play, episode) for episode in episodes]):
                yield future.result()
            self._require_own_tools()
        finally:
            self._over.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._client.close()

    def _play(self, episode: Episode) -> Episode:
        turn = 0
        while not (episode.done or self._over.is_set()):
            self._play_turn(episode, turn)
            turn += 1
        return episode

    def _play_turn(self, episode: Episode, turn: int) -> None:
        with self._lock:
            self._turns += 1
        try:
            reply = self._client.ask(self._request(episode, turn))
        except ContextTooLongError as fault:
            if turn:
                episode.stop("context")
            else:
                episode.fail(f"{fault}, before the agent has written a word")
        except UnreadableCallError as fault:
            written = self._family.calls.up_to_first(fault.written) if self._family else ""
            episode.take_unreadable(str(fault), written)
        except RequestRefusedError as fault:
            episode.fail(str(fault))
        except RetriesExhaustedError as fault:
            if not self._tolerated(fault):
                raise
            episode.take_unreadable(UNEXPLAINED)
        else:
            episode.take(self._turn(reply, episode))

    def _tolerated(self, fault: RetriesExhaustedError) -> bool:
        """Whether what the model wrote may be at fault, not the server; the journal is told nothing of it."""
        share = self._served.unreadable_turns
        if not share or fault.status != 500 or not self._client.answers():
            return False
        with self._lock:
            self._unreadable += 1
            return self._unreadable <= share * max(self._turns, FEWEST_TURNS)

    def _request(self, episode: Episode, turn: int) -> ChatRequest:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}/{turn}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1
        fields: dict[str, Any] = {"top_p": self._settings.top_p} if self._settings.top_p < 1 else {}
        if self._ids is not None:
            fields["return_token_ids"] = True
        return ChatRequest(
            messages=openai_messages([made_safe(message, self._family) for message in episode.messages]),
            max_tokens=self._settings.max_turn_tokens,
            temperature=self._settings.temperature,
            tools=episode.tools,
            seed=seed,
            replicate=key,
            about=episode.case.case_id,
            fields=fields,
        )

    def _require_own_tools(self) -> None:
        """A model may misname a tool; one that never names any that it was offered is misread by its server."""
        if not self._offered and self._not_offered.total() >= MISNAMED:
            names = ", ".join(sorted(map(repr, self._not_offered))[:SHOWN])
            raise CallsMisreadError(
                f"{self._served.base_url}: of {self._not_offered.total()} calls none is of an offered tool "
                f"({names}), so it reads the model's calls wrongly. Start it with the parser of the model, or "
                "without one and name the `family` in `served`; then run again"
            )
        if self._not_offered:
            logger.warning("calls of tools that were not offered, counted as invalid: %s", dict(self._not_offered))

    def _turn(self, reply: ChatReply, episode: Episode) -> Turn:
        """The first call, with what was said before it; else the text as it was written."""
        text, n = reply.content, reply.completion_tokens
        if self._ids is not None:
            with self._lock:
                sampled = self._ids.turn(reply, episode)
            if sampled is not None:
                return sampled
        if reply.tool_calls:
            name, arguments = reply.tool_calls[0]
            with self._lock:
                (self._offered if name in episode.environment.tools else self._not_offered)[name] += 1
            try:
                return Turn(read_call(name, arguments), text, n)
            except ParseError:
                return Turn(None, json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False), n)
        if self._family is None:
            self._require_handed_over(text, episode)
            return Turn(None, text, n, spoken=not reply.cut_off)
        calls = self._family.calls
        written = calls.up_to_first(text)
        try:
            before, call = calls.parse(written)
            return Turn(call, before, n)
        except ParseError:
            return Turn(None, written, n, spoken=not reply.cut_off and not calls.attempted(written))

    def _require_handed_over(self, text: str, episode: Episode) -> None:
        """A whole call of a known form in the text is one that the server should have handed over."""
        for family in MODEL_FAMILIES.values():
            try:
                _, call = family.calls.parse(family.calls.up_to_first(text))
            except ParseError:
                continue
            if call.name in episode.environment.tools:
                raise CallsMisreadError(
                    f"{self._served.base_url} leaves calls in the text ({call.name}, as {family.name} writes it): "
                    "name the `family` of the model in `served`, or start the server with the model's parser; "
                    "then run again"
                )


class ReadIds:
    """Reads turns from the ids of their tokens, as a rollout in process reads its own; one thread at a time."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, served: ServedModel) -> None:
        self._tokenizer = tokenizer
        self._dialect = dialect_of(tokenizer)
        self._served = served
        self._told: set[str] = set()

    def turn(self, reply: ChatReply, episode: Episode) -> Turn | None:
        """The turn up to the end of its call; None where the reply does not have all of its tokens.

        Raises:
            IdsMisreadError: they are not what the reply says in words.
        """
        ids = reply.token_ids
        if ids is None:
            self._tell("hands over no token ids, although it is asked for them")
            return None
        self._require_own(reply, ids)
        end = next((n for n in range(1, len(ids) + 1) if self._dialect.has_ended(ids[:n])), None)
        if end is None and not reply.cut_off:
            self._tell("leaves the end of a turn out of its token ids")
            return None
        return self._dialect.parse_turn(ids[:end], episode.environment.tools, end is not None)

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning("%s %s: such turns are rendered, not sampled", self._served.base_url, what)

    def _require_own(self, reply: ChatReply, ids: tuple[int, ...]) -> None:
        """What the server says in words has to be in what the tokens spell, white space aside."""
        words = [name for name, _ in reply.tool_calls[:1]] or [reply.content]
        if max(ids) < len(self._tokenizer):
            spelt = [self._tokenizer.decode(ids, skip_special_tokens=skipped) for skipped in (True, False)]
            if all("\ufffd" in text or any(_bare(text) in _bare(s) for s in spelt) for text in words):
                return
        raise IdsMisreadError(
            f"{self._served.base_url}: the token ids of a reply do not spell it in the checkpoint's tokenizer: "
            f"see that {self._served.model} is this checkpoint, or set token_ids: false"
        )


def _bare(text: str) -> str:
    return "".join(text.split())
