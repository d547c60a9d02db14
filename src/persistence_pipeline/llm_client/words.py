"""Words of servers that refuse a request, by what they mean. No two say it alike, and statuses differ too."""

from __future__ import annotations

import re

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context (length|window|size|limit)|max_context_length"
    r"|maximum (context|model|prompt) length|max_model_len|model_context_window"
    r"|(prompt|input|length of all messages|request) is too long|prompt too long|prompt exceeds the length limit"
    r"|longer than the (maximum|model)|too large for (the )?model with|too many (input )?tokens"
    r"|input token count.{0,40}exceeds|prompt token count.{0,40}exceeds|input tokens exceed"
    r"|exceeds the maximum (allowed input length|number of tokens)|exceeded model token limit"
    r"|reduce the length of the messages|range of input length should be"
    r"|`?inputs`? (tokens \+ `?max_new_tokens`? must be|must have less than)|keep the first \d+ tokens",
    re.IGNORECASE,
)
"""OpenAI and vLLM ("maximum context length is"), Anthropic ("prompt is too long"), Gemini ("The input token count
(N) exceeds the maximum number of tokens allowed"), TGI ("`inputs` tokens + `max_new_tokens` must be <="), Ollama
("input length exceeds the context length"), llama.cpp ("exceed_context_size_error", "exceeds the available context
size"), LM Studio ("Trying to keep the first N tokens"), SGLang and Together ("is longer than the model's context
length"), Mistral ("too large for model with N maximum context length"), Bedrock ("Input is too long for requested
model"), xAI ("maximum prompt length"), Groq and Cerebras ("reduce the length of the messages"), Qwen, Kimi,
MiniMax, Perplexity."""
_RATE = re.compile(r"rate.?limit|(tokens|requests) per (second|minute|hour|day)|\bTPM\b|\bTPD\b", re.IGNORECASE)
"""A rate is counted in tokens too; where it is meant, no conversation is too long."""

_NO_CREDIT = re.compile(
    r"credit balance|insufficient[_ ](quota|credits?|balance|funds)|(billing_hard_limit|billing_not_active)"
    r"|requires more credits|out of credits?|payment required|add credits",
    re.IGNORECASE,
)
"""Anthropic (status 400), OpenAI (429), DeepSeek, OpenRouter (402)."""

_FILTERED = re.compile(
    r"content_filter|content management policy|content[_ ]policy|responsibleai|requires moderation"
    r"|input was flagged|data_inspection_failed|prohibited_content",
    re.IGNORECASE,
)
"""Azure, OpenAI (status 400), OpenRouter (403), DashScope, Gemini."""

_NO_CALL = re.compile(r'"tool_use_failed"|error parsing tool call', re.IGNORECASE)
"""What servers say where the call that the model itself wrote cannot be read: Groq's code (status 400), Ollama's
words (500). llama.cpp's "Failed to parse tool call arguments" is not among them: it says that of requests too."""


def too_long(status: int, text: str) -> bool:
    """True if the conversation is longer than the model's window, or than what the server takes at once."""
    return status != 429 and not _RATE.search(text) and (status == 413 or bool(_TOO_LONG.search(text)))


def without_credit(status: int, text: str) -> bool:
    """True if the account cannot pay for any further request."""
    return status == 402 or bool(_NO_CREDIT.search(text))


def filtered(text: str) -> bool:
    """True if a filter refuses what this conversation says."""
    return bool(_FILTERED.search(text))


def no_readable_call(text: str) -> bool:
    """True if the server could not read the call that the model wrote."""
    return bool(_NO_CALL.search(text))
