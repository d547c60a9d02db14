"""Client of OpenAI-compatible chat servers: vLLM, ``transformers serve``, hosted models."""

from persistence_pipeline.serving.client import ChatClient, ChatRequest
from persistence_pipeline.serving.faults import (
    BrokenReply,
    ContentFiltered,
    ContextTooLong,
    KeyRefused,
    ModelUnknown,
    NoCredit,
    NotJson,
    RefusedAlike,
    RequestRefused,
    RetriesExhausted,
    ServerUnreachable,
    ServingFault,
    UnreadableCall,
)
from persistence_pipeline.serving.replies import ChatReply
from persistence_pipeline.serving.settings import ServerSettings

__all__ = [
    "BrokenReply",
    "ChatClient",
    "ChatReply",
    "ChatRequest",
    "ContentFiltered",
    "ContextTooLong",
    "KeyRefused",
    "ModelUnknown",
    "NoCredit",
    "NotJson",
    "RefusedAlike",
    "RequestRefused",
    "RetriesExhausted",
    "ServerSettings",
    "ServerUnreachable",
    "ServingFault",
    "UnreadableCall",
]
