"""Errors between us and a server, one class for each that a caller may treat differently.

Messages say what happened and what to do. None of them holds a key: what a server said is cleaned before.
"""

from __future__ import annotations


class ServingError(RuntimeError):
    """Base: a request has no reply. Replies so far are in the journal."""

    fatal = True
    """Whether further requests would fare no better; otherwise the fault is of this request alone."""


class ServerUnreachableError(ServingError):
    """Nothing answers at the address."""


class KeyRefusedError(ServingError):
    """The server wants a key, or another one."""


class NoCreditError(ServingError):
    """The account cannot pay for further requests."""


class ModelUnknownError(ServingError):
    """The server does not serve the model that was asked for."""


class NotJsonError(ServingError):
    """The address is not that of a chat server: it answers something else than JSON."""


class RefusedAlikeError(ServingError):
    """Requests about different cases are refused with the same words: the cause is none of them."""


class RetriesExhaustedError(ServingError):
    """The server kept failing, stalling or asking to wait.

    ``status`` is the one that every attempt was answered with; None where they ended in different ways.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RequestRefusedError(ServingError):
    """The server refused this request."""

    fatal = False
    personal = False
    """Whether the refusal names this conversation as its cause."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ContextTooLongError(RequestRefusedError):
    """The conversation is longer than the model's window."""

    personal = True


class ContentFilteredError(RequestRefusedError):
    """A filter of the server's refuses what the conversation says, or took away what the model answered."""

    personal = True


class BrokenReplyError(RequestRefusedError):
    """Every attempt was answered with status 200 and an error, or with what holds no reply."""


class UnreadableCallError(RequestRefusedError):
    """The server could not read the call that the model wrote, and says so.

    ``written`` is what the model wrote, where the server tells.
    """

    personal = True

    def __init__(self, message: str, status: int = 400, written: str = "") -> None:
        super().__init__(message, status)
        self.written = written
