"""Settings of a server. A key is never among them: only the name of the environment variable that holds it."""

from __future__ import annotations

import os
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from persistence_pipeline.llm_client.errors import KeyRefusedError
from persistence_pipeline.strict import Strict


class ServerSettings(Strict):
    """The server of a model, and how patiently it is asked."""

    base_url: str
    """Up to and with ``/v1``: ``http://localhost:8000/v1``."""
    model: str = Field(min_length=1)
    """The id under which the server offers it."""
    api_key: str | None = None
    """Name of the environment variable that holds the key; null where the server wants none."""
    concurrency: int = Field(8, gt=0)
    """Requests under way at once."""
    timeout_s: float = Field(120.0, gt=0)
    """A whole request, from connecting to the last byte."""
    connect_timeout_s: float = Field(10.0, gt=0)
    retries: int = Field(5, ge=0)
    """Further attempts after 408, 409, 424, 425, 429, 5xx, a time-out, a broken connection, half a body, or a body
    of status 200 that reports an error or holds no reply."""
    backoff_s: float = Field(1.0, ge=0)
    """Wait before the first further attempt; doubled each time, with jitter."""
    longest_wait_s: float = Field(60.0, ge=0)
    """Limit of one wait; a server that asks for a longer one ends the run."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Some hosted models know only the second."""
    structured: Literal["json_schema", "off"] = "json_schema"
    """Whether to ask for answers by schema; a server that refuses it is asked without."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every request, such as ``chat_template_kwargs``."""

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        _ = parts.port  # one that is no number between 0 and 65535 raises
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("a key does not belong into the address; name its environment variable in api_key")
        return value.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        if value is not None and not value.isidentifier():
            # The value may be the key itself: it is not shown.
            raise ValueError("expected the name of an environment variable, not the key itself")
        return value

    def key(self) -> SecretStr | None:
        """The key from the environment.

        Raises:
            KeyRefusedError: the variable is not set.
        """
        if self.api_key is None:
            return None
        value = os.environ.get(self.api_key, "").strip()
        if not value:
            raise KeyRefusedError(
                f"the environment variable {self.api_key} is not set: export it, or put the key of "
                f"{self.base_url} into conf/local/credentials.yml"
            )
        return SecretStr(value)
