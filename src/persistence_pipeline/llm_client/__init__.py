"""Client of OpenAI-compatible chat servers: vLLM, ``transformers serve``, hosted models."""

from persistence_pipeline.llm_client.client import ChatClient, ChatRequest
from persistence_pipeline.llm_client.errors import (
    BrokenReplyError,
    ContentFilteredError,
    ContextTooLongError,
    KeyRefusedError,
    ModelUnknownError,
    NoCreditError,
    NotJsonError,
    RefusedAlikeError,
    RequestRefusedError,
    RetriesExhaustedError,
    ServerUnreachableError,
    ServingError,
    UnreadableCallError,
)
from persistence_pipeline.llm_client.replies import ChatReply
from persistence_pipeline.llm_client.settings import ServerSettings

__all__ = [
    "BrokenReplyError",
    "ChatClient",
    "ChatReply",
    "ChatRequest",
    "ContentFilteredError",
    "ContextTooLongError",
    "KeyRefusedError",
    "ModelUnknownError",
    "NoCreditError",
    "NotJsonError",
    "RefusedAlikeError",
    "RequestRefusedError",
    "RetriesExhaustedError",
    "ServerSettings",
    "ServerUnreachableError",
    "ServingError",
    "UnreadableCallError",
]
