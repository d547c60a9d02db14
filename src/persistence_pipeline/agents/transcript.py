"""Conversations as tokens: those that an agent reads, and those that it wrote, turn by turn.

Rollouts and training both ask here, so a transcript is put together in one way. What an agent reads (its prompt,
and what stands between two of its turns) is rendered by the chat template and tokenised by itself. What it wrote
is the ids that were sampled, where a record has them and this tokenizer is the one that they belong to. Where the
agent wrote no end of its turn, the end that the engine appends follows, and is not the agent's. A turn whose ids
are not known is rendered: the tokens of the template's text for it, which need not be those that were sampled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from persistence_pipeline.agents.chat import TemplateError, require_generation_markers, to_template_messages
from persistence_pipeline.agents.families import recorded_family
from persistence_pipeline.agents.tokenizer import tokenizer_identity
from persistence_pipeline.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tools = Sequence[Mapping[str, Any]]
ASKED = Message(role="user", content="-")
SAID = Message(role="assistant", content="-")


@dataclass
class Encoded:
    """Tokens of one conversation."""

    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    """As long as ``ids``: 1 for what the agent wrote."""
    starts: list[int] = field(default_factory=list)
    """Where each turn of the agent begins."""
    rendered: list[bool] = field(default_factory=list)
    """Of each turn, whether it is rendered because what was sampled is not known."""

    def read(self, ids: Sequence[int]) -> None:
        """Go on with tokens that the agent did not write."""
        self.ids += ids
        self.mask += [0] * len(ids)

    def write(self, ids: Sequence[int]) -> None:
        """Go on with tokens of the agent."""
        self.ids += ids
        self.mask += [1] * len(ids)


class Transcript:
    """Makes tokens with one tokenizer and its chat template.

    Raises:
        TemplateError: the template lacks generation markers.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        require_generation_markers(tokenizer)
        self._tokenizer = tokenizer
        self._tokens: dict[str, list[int]] = {}
        self._prompts: dict[tuple[str, ...], list[int]] = {}
        self._observations: dict[tuple[str, str | None], list[int]] = {}

    @cached_property
    def identity(self) -> str:
        """Identity of the tokenizer, as records of sampled tokens have it."""
        return tokenizer_identity(self._tokenizer)

    @cached_property
    def closing(self) -> list[int]:
        """Tokens that end a turn."""
        closing = self.encode([[ASKED, Message(role="assistant")]])[0]
        return [token for token, mine in zip(closing.ids, closing.mask, strict=True) if mine]

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens with which an agent may itself end a turn."""
        family = recorded_family(self._tokenizer)
        vocabulary = self._tokenizer.get_vocab() if family else {}
        further = {vocabulary[token] for token in (family.further_ends if family else ()) if token in vocabulary}
        return frozenset({self.closing[0], *further})

    def appended(self, turn: Sequence[int]) -> list[int]:
        """The tokens that the engine appends to a turn: its end, where the agent wrote none."""
        if turn and turn[-1] == self.closing[0]:
            return self.closing[1:]
        return [] if turn and turn[-1] in self.ends else self.closing

    def prompt(self, messages: Sequence[Message], tools: Tools) -> list[int]:
        """Tokens up to where the agent begins its next turn."""
        key = (json.dumps(tools), *(message.model_dump_json() for message in messages))
        if key not in self._prompts:
            whole = self.encode([[*messages, SAID]], tools)[0]
            self._prompts[key] = whole.ids[: whole.starts[-1]]
        return list(self._prompts[key])

    def observation(self, message: Message) -> list[int]:
        """Tokens between the end of a turn and the next, with the tool's answer; as it follows any turn."""
        key = (message.content, message.name)
        if key not in self._observations:
            self._observations[key] = self._tokenised(self._pieces([ASKED, SAID, message, SAID], ())[2])
        return self._observations[key]

    def turn(self, message: Message) -> list[int]:
        """Tokens of a turn as the template renders it, its end included."""
        return self._tokenised(self._pieces([ASKED, message], ())[1])

    def encode(self, conversations: Sequence[Sequence[Message]], tools: Tools = ()) -> list[Encoded]:
        """Tokens of whole conversations, all with the same tools.

        Raises:
            TemplateError: the template does not mark each turn of an agent, or leaves out some of what one wrote.
        """
        pieces = [self._pieces(messages, tools) for messages in conversations]
        self._learn(text for texts in pieces for text in texts)
        return [
            self._assembled([m for m in messages if m.role == "assistant"], texts)
            for messages, texts in zip(conversations, pieces, strict=True)
        ]

    def _assembled(self, turns: Sequence[Message], texts: Sequence[str]) -> Encoded:
        encoded = Encoded()
        encoded.read(self._tokenised(texts[0]))
        for turn, written, following in zip(turns, texts[1::2], texts[2::2], strict=True):
            encoded.starts.append(len(encoded.ids))
            sampled = turn.sampled if turn.sampled and turn.sampled.tokenizer == self.identity else None
            encoded.rendered.append(sampled is None)
            if sampled is None:
                encoded.write(self._tokenised(written))
            else:
                encoded.write(sampled.ids)
                encoded.read(self.appended(sampled.ids))
            encoded.read(self._tokenised(following))
        if turns and not any(encoded.mask):
            raise TemplateError("the chat template marks no token of a conversation with assistant turns")
        return encoded

    def _pieces(self, messages: Sequence[Message], tools: Tools) -> list[str]:
        """The rendered text, cut where a turn of the agent begins or ends: read, written, read, … read."""
        from transformers.utils.chat_template_utils import render_jinja_template

        shaped = to_template_messages(messages, self._tokenizer)
        (text,), (spans,) = render_jinja_template(
            conversations=[shaped],
            tools=[dict(tool) for tool in tools] or None,
            chat_template=self._tokenizer.chat_template,
            return_assistant_tokens_mask=True,
            **self._tokenizer.special_tokens_map,
        )
        turns = [message for message in shaped if message["role"] == "assistant"]
        if len(spans) != len(turns):
            raise TemplateError(
                f"the chat template marks {len(spans)} turns of an agent in a conversation with {len(turns)}: put "
                "one pair of generation markers around each"
            )
        for turn, (start, end) in zip(turns, spans, strict=True):
            _require_all(turn, text[start:end])
        return [text[start:end] for start, end in pairwise([0, *chain(*spans), len(text)])]

    def _tokenised(self, text: str) -> list[int]:
        if text not in self._tokens:
            self._learn([text])
        return self._tokens[text]

    def _learn(self, texts: Iterable[str]) -> None:
        """Many texts recur: each is tokenised once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._tokens]
        if new:
            ids = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._tokens.update(zip(new, ids, strict=True))


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]], tools: Tools | None = None
) -> list[tuple[list[int], list[int]]]:
    """Token ids of whole conversations, each with a mask: 1 for each token that the agent wrote.

    Args:
        tokenizer: Its chat template writes what the agent reads, and turns whose sampled tokens are not known.
        conversations: Messages; all are shown the same tools.
        tools: JSON schemas of the tools, for templates that show them to the model.

    Raises:
        TemplateError: the template cannot serve for training.
    """
    encoded = Transcript(tokenizer).encode(conversations, tools or ())
    return [(one.ids, one.mask) for one in encoded]


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools | None = None
) -> tuple[list[int], list[int]]:
    """Token ids and agent mask of one whole conversation; see ``encode_conversations``."""
    return encode_conversations(tokenizer, [messages], tools)[0]


def _require_all(turn: Mapping[str, Any], written: str) -> None:
    """Refuse a template that writes one of several calls, or a call without the text beside it."""
    calls, text = [call["function"]["name"] for call in turn.get("tool_calls", ())], turn["content"].strip()
    if (calls and text not in written) or (len(calls) > 1 and sum(map(written.count, set(calls))) < len(calls)):
        raise TemplateError(
            f"the chat template writes only a part of a turn with {len(calls)} calls"
            f"{' and text beside them' if text else ''} (calls of {', '.join(calls)})"
        )
