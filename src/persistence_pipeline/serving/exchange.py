"""One exchange with a server, retried with patience; every failure becomes a fault that says what to do.

What a request means, and what is kept of replies, does not live here.
"""

from __future__ import annotations

import email.utils
import json
import logging
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
from pydantic import SecretStr

from persistence_pipeline.serving.faults import (
    ContextTooLong,
    KeyRefused,
    ModelUnknown,
    NotJson,
    RequestRefused,
    RetriesExhausted,
    ServerUnreachable,
    ServingFault,
    UnreadableCall,
)
from persistence_pipeline.serving.settings import ServerSettings

logger = logging.getLogger(__name__)

SHOWN = 300
"""Characters of an answer that an error shows."""
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum (context|model) length|context (length|window|size)|max_model_len"
    r"|prompt is too long|too many tokens|longer than the maximum",
    re.IGNORECASE,
)

_NO_CALL = re.compile(r'"tool_use_failed"|error parsing tool call', re.IGNORECASE)
"""What servers say where the call that the model itself wrote cannot be read: Groq's code (status 400), Ollama's
words (500). llama.cpp's "Failed to parse tool call arguments" is not among them: it says that of requests too."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class _Retry(Exception):
    """The attempt failed in a way that another may not."""

    def __init__(self, reason: str, wait_s: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.status = status


class Exchange:
    """Talks to one server; safe to use from several threads.

    Args:
        settings: Address and patience.
        key: Sent as a bearer token, and struck out of whatever the server says.
    """

    def __init__(self, settings: ServerSettings, key: SecretStr | None) -> None:
        self._settings = settings
        self._key = key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings.concurrency)
        timeout = httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
        self._http = httpx.Client(headers=headers, limits=limits, timeout=timeout)
        self.n_retries = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that the server answers.

        Raises:
            ServingFault: the class says what went wrong.
        """
        failure: _Retry | None = None
        statuses = set()
        for attempt in range(self._settings.retries + 1):
            if failure is not None:
                self._wait(failure, attempt)
            try:
                return self._attempt(path, body)
            except _Retry as error:
                failure = error
                statuses.add(error.status)
        tried = f"{self._settings.retries + 1} attempts"
        if isinstance(failure and failure.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            raise ServerUnreachable(
                f"no server answers at {self._settings.base_url} ({failure}; {tried}): "
                "start it, or correct base_url"
            ) from None
        self._require_model(str(failure))
        raise RetriesExhausted(
            f"{self._settings.base_url}: {failure} ({tried}); run again to go on from the journal",
            statuses.pop() if len(statuses) == 1 else None,
        ) from None

    def answers(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether the server answers this request, asked once."""
        try:
            self._attempt(path, body)
        except (_Retry, ServingFault):
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
            except (httpx.HTTPError, _Retry):
                continue
            except (ValueError, KeyError, TypeError, RecursionError):
                return None
        return None

    def cleaned(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key.get_secret_value(), "[key]") if self._key else text

    def _wait(self, failure: _Retry, attempt: int) -> None:
        longest = self._settings.longest_wait_s
        if failure.wait_s is not None and failure.wait_s > longest:
            raise RetriesExhausted(
                f"{self._settings.base_url}: {failure}, and asks to wait {failure.wait_s:.0f} s "
                f"(longest_wait_s is {longest:g}); run again later to go on from the journal"
            )
        doubled = min(self._settings.backoff_s * 2 ** (attempt - 1), longest)
        wait = doubled * random.uniform(0.5, 1) if failure.wait_s is None else failure.wait_s
        self.n_retries += 1
        logger.info("%s: %s; asking again in %.1f s", self._settings.base_url, failure, wait)
        time.sleep(wait)

    def _attempt(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._send("POST", path, body)
        except httpx.TransportError as error:
            raise _Retry(_described(error)) from error
        if answer.status >= 400 and _NO_CALL.search(answer.body.decode(errors="replace")):
            raise self._unreadable(answer)
        if answer.status == 429 or answer.status == 408 or answer.status >= 500:
            said = f"status {answer.status}: {self._said(answer)}"
            raise _Retry(said, _retry_after(answer.headers), answer.status)
        if answer.status >= 300:
            raise self._refusal(answer)
        try:
            value = json.loads(answer.body)
        except RecursionError:
            raise self._not_json(answer) from None
        except ValueError:
            if answer.body.lstrip()[:1] in (b"{", b""):
                raise _Retry("half a body") from None
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
                    raise _Retry(f"no whole answer within {self._settings.timeout_s:g} s")
            return _Answer(response.status_code, response.headers, b"".join(parts))

    def _refusal(self, answer: _Answer) -> Exception:
        said = self._said(answer)
        where = f"{self._settings.base_url}: status {answer.status}: {said}"
        if answer.status in (401, 403):
            wanted = self._settings.api_key or "api_key in the parameters"
            return KeyRefused(f"{where}; check the key ({wanted})")
        if _TOO_LONG.search(answer.body.decode(errors="replace")):
            return ContextTooLong(f"{where}; the conversation is longer than the model's window", answer.status)
        self._require_model(said)
        if answer.status in (404, 405) or answer.status < 400:
            return NotJson(f"{where}; no chat server there: base_url should end with /v1")
        return RequestRefused(where, answer.status)

    def _unreadable(self, answer: _Answer) -> UnreadableCall:
        try:
            written = str(json.loads(answer.body)["error"]["failed_generation"])
        except (ValueError, KeyError, TypeError, RecursionError):
            written = ""
        said = f"the server could not read the call that the model wrote (status {answer.status}: "
        return UnreadableCall(f"{said}{self._said(answer)})", answer.status, self.cleaned(written))

    def _require_model(self, said: str) -> None:
        served = self.served()
        if served is not None and self._settings.model not in served:
            raise ModelUnknown(
                f"{self._settings.base_url} does not serve {self._settings.model!r}; it serves "
                f"{', '.join(served) or 'nothing'} (it said: {said})"
            ) from None

    def _not_json(self, answer: _Answer) -> NotJson:
        return NotJson(
            f"{self._settings.base_url} answered no JSON object but {self._said(answer)!r}; "
            "is it a chat server, and does base_url end with /v1?"
        )

    def _said(self, answer: _Answer) -> str:
        """What the server said in words, cleaned and shortened."""
        text = answer.body.decode(errors="replace")
        try:
            value = json.loads(text)
            error = value.get("error", value)
            text = (
                str(error.get("message") or error.get("detail") or text) if isinstance(error, dict) else str(error)
            )
        except (ValueError, AttributeError, RecursionError):
            pass
        text = " ".join(self.cleaned(text).split())
        return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _described(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"the connection broke off ({type(error).__name__})"


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks to wait: a number or a date."""
    value = headers.get("retry-after", "").strip()
    if value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
