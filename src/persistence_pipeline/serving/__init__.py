"""Client of OpenAI-compatible chat servers: vLLM, ``transformers serve``, hosted models."""

from persistence_pipeline.serving.client import ChatClient, ChatReply, ChatRequest
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

__all__ = [
    "ChatClient",
    "ChatReply",
    "ChatRequest",
    "ContextTooLong",
    "KeyRefused",
    "ModelUnknown",
    "NotJson",
    "RequestRefused",
    "RetriesExhausted",
    "ServerSettings",
    "ServerUnreachable",
    "ServingFault",
    "UnreadableCall",
]
