"""One exchange with a server, retried with patience; every failure becomes a fault that says what to do.

What a request means, how a reply is read, and what is kept of replies, does not live here.
"""

from __future__ import annotations

import email.utils
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import httpx2 as httpx
from pydantic import SecretStr

from persistence_pipeline.json_values import MAX_DIGITS, shortened, storable_text
from persistence_pipeline.llm_client import words
from persistence_pipeline.llm_client.errors import (
    BrokenReplyError,
    ContentFilteredError,
    ContextTooLongError,
    KeyRefusedError,
    ModelUnknownError,
    NoCreditError,
    NotJsonError,
    RequestRefusedError,
    RetriesExhaustedError,
    ServerUnreachableError,
    ServingError,
    UnreadableCallError,
)
from persistence_pipeline.llm_client.replies import (
    FilteredReplyError,
    NoReplyError,
    OverflownReplyError,
    error_within,
)
from persistence_pipeline.llm_client.settings import ServerSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

SHOWN = 300
"""Characters of an answer that an error shows."""
RETRIED = (408, 409, 424, 425, 429)
"""Statuses below 500 that may be others the next time."""
SECRET = 8
"""Characters from which a key is struck out of what is said; shorter ones, such as EMPTY, are words."""
FOREVER = 1e9


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes
    within: bool = False
    """Whether the status stood in a body that came with status 200."""

    @property
    def text(self) -> str:
        """The body; bytes that are no UTF-8 become U+FFFD."""
        return self.body.decode("utf-8-sig", errors="replace")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object of the body; empty where it is none."""
        try:
            value = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def explains(self) -> bool:
        """True if it is an error in the form of chat servers."""
        return bool(self.fields.get("error"))

    def failed(self, error: Any) -> _Answer:
        """The answer as it would have come with the error's own status."""
        code = error.get("code") or error.get("status") if isinstance(error, Mapping) else None
        status = code if type(code) is int and 400 <= code < 600 else 502
        return replace(self, status=status, body=json.dumps({"error": error}).encode(), within=True)


class _RetryError(Exception):
    """The attempt failed in a way that another may not."""

    def __init__(
        self, reason: str, wait_s: float | None = None, status: int | None = None, within: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.status = status
        self.within = within
        """Whether the status was 200, and the failure stood in the body: it may be of this request alone."""


class Transport:
    """Talks to one server; safe to use from several threads.

    Args:
        settings: Address and patience.
        key: Sent as a bearer token, and struck out of whatever the server says.

    Raises:
        KeyRefusedError: the key cannot be sent.
    """

    def __init__(self, settings: ServerSettings, key: SecretStr | None) -> None:
        self._settings = settings
        _require_sendable(key, settings)
        self._key = key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings.concurrency)
        timeout = httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
        self._http = httpx.Client(headers=headers, limits=limits, timeout=timeout)
        self._has_answered = threading.Event()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(self, path: str, body: Mapping[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        """Post a request; returns what ``read`` makes of the JSON object that the server answers.

        Raises:
            ServingError: the class says what went wrong.
        """
        failure: _RetryError | None = None
        statuses = set()
        for attempt in range(self._settings.retries + 1):
            if failure is not None:
                self._wait(failure, attempt)
            try:
                return self._read(self._attempt(path, body), read)
            except _RetryError as error:
                failure = error
                statuses.add(error.status)
        raise self._exhausted(failure, statuses) from None

    def _exhausted(self, failure: _RetryError | None, statuses: set[int | None]) -> ServingError:
        tried = f"{self._settings.retries + 1} attempts"
        if isinstance(failure and failure.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            return ServerUnreachableError(
                f"no server answers at {self._settings.base_url} ({failure}; {tried}): "
                "start it, or correct base_url"
            )
        if failure is not None and failure.within:
            return BrokenReplyError(
                f"{self._settings.base_url}: {failure} ({tried}); if that is what it always answers: is it a chat "
                "server, and does base_url end with /v1?",
                failure.status or 200,
            )
        self._require_model(str(failure))
        return RetriesExhaustedError(
            f"{self._settings.base_url}: {failure} ({tried}); run again to go on from the journal",
            statuses.pop() if len(statuses) == 1 else None,
        )

    def _read(self, value: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        where = self._settings.base_url
        try:
            reply = read(value)
        except OverflownReplyError as error:
            raise ContextTooLongError(f"{where}: {error}; the conversation fills the model's window") from None
        except FilteredReplyError as error:
            raise ContentFilteredError(f"{where}: a filter took the answer away ({error})") from None
        except NoReplyError as error:
            raise _RetryError(self._short(f"status 200, {error}"), within=True) from None
        except RecursionError:
            raise _RetryError("status 200, a body nested too deep", within=True) from None
        self._has_answered.set()
        return reply

    def answers(self, path: str, body: Mapping[str, Any]) -> bool:
        """True if the server answers this request, asked once."""
        try:
            self._attempt(path, body)
        except (_RetryError, ServingError):
            return False
        return True

    def served(self) -> list[str] | None:
        """Ids of the models that the server offers, or None where it does not say.

        Asked twice: servers close the connection on which they have failed, and the first may go into that one.
        """
        for _ in range(2):
            try:
                entries = json.loads(self._send("GET", "/models", None).body)["data"]
                return sorted(str(entry["id"]) for entry in entries)
            except (httpx.RequestError, _RetryError):
                continue
            except (ValueError, KeyError, TypeError, RecursionError):
                return None
        return None

    def is_among(self, served: list[str]) -> bool:
        """True if the model is one of these; Gemini lists its models as ``models/...``."""
        return self._settings.model in {name for full in served for name in (full, full.removeprefix("models/"))}

    def cleaned(self, text: str) -> str:
        """The text without the key."""
        key = self._key.get_secret_value() if self._key else ""
        return text.replace(key, "[key]") if len(key) >= SECRET else text

    def _wait(self, failure: _RetryError, attempt: int) -> None:
        longest = self._settings.longest_wait_s
        if failure.wait_s is not None and failure.wait_s > longest:
            raise RetriesExhaustedError(
                f"{self._settings.base_url}: {failure}, and asks to wait {failure.wait_s:.0f} s "
                f"(longest_wait_s is {longest:g}); run again later to go on from the journal"
            )
        doubled = min(self._settings.backoff_s * 2 ** (attempt - 1), longest)
        wait = doubled * random.uniform(0.5, 1) if failure.wait_s is None else failure.wait_s
        logger.info("%s: %s; asking again in %.1f s", self._settings.base_url, failure, wait)
        time.sleep(wait)

    def _attempt(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._send("POST", path, body)
        except httpx.RequestError as error:
            raise _RetryError(_described(error)) from error
        if answer.status >= 300:
            raise self._failure(answer)
        value = self._object(answer)
        reported = error_within(value)
        if reported is not None:
            raise self._failure(answer.failed(reported))
        return value

    def _object(self, answer: _Answer) -> dict[str, Any]:
        """The body; control characters in its texts are let pass, which some servers do not escape."""
        text = answer.text
        try:
            value = json.loads(text, strict=False, parse_int=_integer)
        except RecursionError:
            raise _RetryError("a body nested too deep", within=True) from None
        except ValueError:
            if text.lstrip()[:1] in ("{", ""):
                raise _RetryError("half a body", within=True) from None
            raise self._not_json(answer) from None
        if not isinstance(value, dict):
            raise self._not_json(answer)
        return value

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> _Answer:
        """One request; the limit of time holds for the whole of it, however slowly bytes drip."""
        deadline = time.monotonic() + self._settings.timeout_s
        with self._http.stream(method, f"{self._settings.base_url}{path}", json=body) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise _RetryError(f"no whole answer within {self._settings.timeout_s:g} s")
            return _Answer(response.status_code, response.headers, b"".join(parts))

    def _failure(self, answer: _Answer) -> Exception:
        """What an answer that is no success means; the more telling words come before the status."""
        text, status = answer.text, answer.status
        message = self._said(answer)
        where = f"{self._settings.base_url}: status {status}: {message}"
        if status < 400:
            return self._no_chat_server(where)
        if words.no_readable_call(text):
            return self._unreadable(answer)
        if words.without_credit(status, text):
            return NoCreditError(f"{where}; pay, or take another account, and run again to go on from the journal")
        if words.too_long(status, text):
            return ContextTooLongError(f"{where}; the conversation is longer than the model's window", status)
        if status in RETRIED or status >= 500:
            wait = _retry_after(answer.headers)
            return _RetryError(f"status {status}: {message}", wait, status, answer.within and status != 429)
        if words.filtered(text):
            return ContentFilteredError(where, status)
        return self._refusal(answer, where, message)

    def _refusal(self, answer: _Answer, where: str, message: str) -> Exception:
        if answer.status in (401, 403):
            wanted = self._settings.api_key or "api_key in the parameters"
            return KeyRefusedError(f"{where}; check the key ({wanted})")
        self._require_model(message)
        if answer.status in (404, 405) and not answer.explains:
            return self._no_chat_server(where)
        return RequestRefusedError(where, answer.status)

    def _no_chat_server(self, where: str) -> NotJsonError:
        return NotJsonError(f"{where}; no chat server there: base_url should end with /v1")

    def _unreadable(self, answer: _Answer) -> UnreadableCallError:
        error = answer.fields.get("error")
        written = str(error.get("failed_generation", "")) if isinstance(error, dict) else ""
        message = f"the server could not read the call that the model wrote (status {answer.status}: "
        return UnreadableCallError(
            f"{message}{self._said(answer)})", answer.status, storable_text(self.cleaned(written))
        )

    def _require_model(self, message: str) -> None:
        """See whether the model is served; one that has answered is, whatever it is called in the list."""
        served = None if self._has_answered.is_set() else self.served()
        if served is not None and not self.is_among(served):
            raise ModelUnknownError(
                f"{self._settings.base_url} does not serve {self._settings.model!r}; it serves "
                f"{', '.join(served) or 'nothing'} (it said: {message})"
            ) from None

    def _not_json(self, answer: _Answer) -> NotJsonError:
        return NotJsonError(
            f"{self._settings.base_url} answered no JSON object but {self._said(answer)!r}; "
            "is it a chat server, and does base_url end with /v1?"
        )

    def _said(self, answer: _Answer) -> str:
        """What the server said in words, cleaned and shortened."""
        error = answer.fields.get("error", answer.fields)
        if isinstance(error, dict):
            return self._short(str(error.get("message") or error.get("detail") or answer.text))
        return self._short(str(error))

    def _short(self, text: str) -> str:
        text = " ".join(storable_text(self.cleaned(text)).split())
        return shortened(text, SHOWN)


def _described(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.DecodingError):
        return "the body is not encoded as its header says"
    return f"the connection broke off ({type(error).__name__})"


def _require_sendable(key: SecretStr | None, settings: ServerSettings) -> None:
    """A header holds visible ASCII alone. The key itself is not shown."""
    if key is None or re.fullmatch(r"[!-~]+", key.get_secret_value()):
        return
    value = key.get_secret_value()
    place = next((number for number, sign in enumerate(value, 1) if not "!" <= sign <= "~"), 0)
    problem = "is empty" if not value else f"has a character that no key can have (number {place} of {len(value)})"
    named = f"in {settings.api_key} " if settings.api_key else ""
    raise KeyRefusedError(
        f"the key {named}for {settings.base_url} {problem}: a blank, a line break, or no ASCII letter"
    )


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks to wait, as a number or a date to come; None where it does not."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return min(float(value), FOREVER)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds > 0 else None
