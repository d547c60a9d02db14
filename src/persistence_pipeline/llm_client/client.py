"""Chat requests and their replies, many at a time, each asked once.

A reply is looked up in the journal by the hash of its request before the server is asked. The hash covers what is
sent and the replicate, not the address: a server may move.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from persistence_pipeline.llm_client.errors import (
    RefusedAlikeError,
    RequestRefusedError,
    ServingError,
    UnreadableCallError,
)
from persistence_pipeline.llm_client.journal import Journal
from persistence_pipeline.llm_client.repeats import Refusals
from persistence_pipeline.llm_client.replies import ChatReply, UnreadTurn, kept_entry, read_reply
from persistence_pipeline.llm_client.settings import ServerSettings

logger = logging.getLogger(__name__)

PATH = "/chat/completions"
_STRUCTURE_WORDS = ("response_format", "json_schema", "guided", "grammar", "structured")


@dataclass(frozen=True)
class ChatRequest:
    """A request. Messages and tools are OpenAI's dicts."""

    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    temperature: float = 0.0
    tools: Sequence[Mapping[str, Any]] = ()
    stop: Sequence[str] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer, for servers that can hold a model to it."""
    replicate: str = ""
    """Tells apart requests that are otherwise equal; not sent."""
    about: str = ""
    """The case that is asked about, where requests about one case may share a cause of being refused; not sent."""
    fields: Mapping[str, Any] | None = None
    """Further fields of this request alone."""

    @property
    def turn(self) -> int:
        """Number of turns before it in its conversation."""
        return sum(message.get("role") == "assistant" for message in self.messages)


@dataclass
class Usage:
    """Requests and tokens of a client so far."""

    requests: int = 0
    from_journal: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatClient:
    """Asks one model; safe to use from several threads.

    Args:
        settings: The server.
        journal: File of the journal; None keeps none.
        key: The key, where the caller has it; else it is taken from the environment that ``settings`` names.

    Raises:
        KeyRefusedError: the key's environment variable is not set, or the key cannot be sent.
        JournalError: the journal is damaged.
    """

    def __init__(
        self, settings: ServerSettings, journal: Path | None = None, key: SecretStr | None = None
    ) -> None:
        from persistence_pipeline.llm_client.transport import Transport

        self.settings = settings
        self.usage = Usage()
        self._transport = Transport(settings, key or settings.key())
        self._refusals = Refusals()
        self._journal = Journal(journal, kept_entry) if journal is not None else None
        self._slots = threading.BoundedSemaphore(settings.concurrency)
        self._lock = threading.Lock()
        self._structured = settings.structured == "json_schema"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and journal."""
        self._transport.close()
        if self._journal is not None:
            self._journal.close()

    def ask(self, request: ChatRequest) -> ChatReply:
        """The reply, from the journal or the server; waits for a free slot.

        Raises:
            ServingError: the class says what went wrong.
        """
        key = self.request_key(request)
        entry = self._journal.get(key) if self._journal is not None else None
        if isinstance(entry, UnreadTurn):
            raise UnreadableCallError(entry.unreadable, entry.status, entry.written)
        if entry is not None:
            self._count(entry, from_journal=True)
            return entry
        with self._slots:
            try:
                reply = self._outcome(request)
            except (
                UnreadableCallError
            ) as fault:  # this is what the model answered: asked again, it may answer better
                self._keep(key, UnreadTurn(str(fault), fault.status, fault.written))
                raise
        self._keep(key, reply)
        self._count(reply, from_journal=False)
        return reply

    def _outcome(self, request: ChatRequest) -> ChatReply:
        """Ask, and learn from the outcome whether further requests would fare better."""
        number = self._refusals.begin()
        try:
            reply = self._ask(request)
        except RequestRefusedError as fault:
            if isinstance(fault, UnreadableCallError):
                self._refusals.accepted(request.turn)
            if fault.personal:
                raise
            case = request.about or self.request_key(request)
            alike = self._refusals.refused(number, case, request.turn, str(fault))
            if not alike:
                raise
            raise RefusedAlikeError(
                f"{fault}; it refuses {alike} cases alike and accepted none meanwhile, so the cause is the server "
                "or what it is asked for: mend that, and run again to go on from the journal"
            ) from None
        else:
            self._refusals.accepted(request.turn)
            return reply
        finally:
            self._refusals.end(number)

    def answers(self) -> bool:
        """True if the model answers the shortest request of all, asked once."""
        with self._slots:
            shortest = ChatRequest([{"role": "user", "content": "Hello"}], max_tokens=1)
            return self._transport.answers(PATH, self._body(shortest, False))

    def ask_many(
        self, requests: Iterable[ChatRequest], soft: tuple[type[ServingError], ...] = ()
    ) -> Iterator[tuple[int, ChatReply | ServingError]]:
        """Replies as they come, with the index of their request; ``settings.concurrency`` at a time.

        Args:
            requests: What is asked.
            soft: Faults that take the place of a reply, besides those of one request alone.

        Raises:
            ServingError: a fault that further requests would share; those not yet begun are not asked.
        """
        waiting = enumerate(requests)
        running: dict[Future[ChatReply], int] = {}
        pool = ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="chat")
        try:
            while True:
                for index, request in waiting:
                    running[pool.submit(self.ask, request)] = index
                    if len(running) >= 2 * self.settings.concurrency:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), _result(future, soft)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def request_key(self, request: ChatRequest) -> str:
        """Hash under which the journal keeps the reply."""
        written = json.dumps([self._body(request, True), request.replicate], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()

    def _keep(self, key: str, entry: ChatReply | UnreadTurn) -> None:
        if self._journal is not None:
            self._journal.put(key, vars(entry))

    def _ask(self, request: ChatRequest) -> ChatReply:
        structured = self._structured
        try:
            return self._post(request, structured)
        except RequestRefusedError as error:
            asked_for = structured and request.schema is not None
            if not asked_for or not any(word in str(error) for word in _STRUCTURE_WORDS):
                raise
        logger.warning("%s refuses answers by schema; asking without", self.settings.base_url)
        self._structured = False
        return self._post(request, False)

    def _body(self, request: ChatRequest, structured: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": [dict(message) for message in request.messages],
            "temperature": request.temperature,
            self.settings.max_tokens_field: request.max_tokens,
            **self.settings.extra,
            **(request.fields or {}),
        }
        optional = {"tools": list(request.tools), "stop": list(request.stop), "seed": request.seed}
        body |= {name: value for name, value in optional.items() if value not in (None, [])}
        if structured and request.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _post(self, request: ChatRequest, structured: bool) -> ChatReply:
        body = self._body(request, structured)
        return self._transport.post(PATH, body, lambda answer: read_reply(answer, self._transport.cleaned))

    def _count(self, reply: ChatReply, *, from_journal: bool) -> None:
        with self._lock:
            self.usage.requests += not from_journal
            self.usage.from_journal += from_journal
            self.usage.prompt_tokens += reply.prompt_tokens
            self.usage.completion_tokens += reply.completion_tokens


def _result(future: Future[ChatReply], soft: tuple[type[ServingError], ...]) -> ChatReply | ServingError:
    try:
        return future.result()
    except ServingError as fault:
        if fault.fatal and not isinstance(fault, soft):
            raise
        return fault
