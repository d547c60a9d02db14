"""How a checkpoint is spoken to in a rollout: tokens of prompts and observations, and what its turns mean.

Which dialect it is stands in its chat template: that of the tiny model, or that of a family of real models. Tokens
are those that training sees: what follows a turn is rendered by the same template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from persistence_pipeline.agents import compact
from persistence_pipeline.agents.chat import (
    TemplateFault,
    neutralise_special_tokens,
    require_generation_markers,
    to_template_messages,
)
from persistence_pipeline.agents.compact import ParseFault
from persistence_pipeline.agents.families import FAMILIES, Family, recorded_family
from persistence_pipeline.records import Message
from persistence_pipeline.rollout.episode import Episode, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Speech(Protocol):
    """One dialect, over one tokenizer."""

    name: str
    end: int
    """Token that ends a turn."""
    ends: frozenset[int]
    """Tokens that end a turn where the agent writes them; the transcript has ``end`` for each."""

    def prompt(self, episode: Episode) -> list[int]:
        """Tokens up to where the agent begins to write."""
        ...

    def observation(self, message: Message) -> list[int]:
        """Tokens between the end of a turn and the next, with the tool's answer."""
        ...

    def has_ended(self, turn: Sequence[int]) -> bool:
        """Whether the turn is over with its last token."""
        ...

    def read(self, turn: Sequence[int], episode: Episode, ended: bool) -> Turn:
        """What the turn says; a turn that was cut is no call."""
        ...


def speech_of(tokenizer: PreTrainedTokenizerBase) -> Speech:
    """The dialect that a checkpoint's chat template records.

    Raises:
        TemplateFault: it records none; says what to do.
    """
    family = recorded_family(tokenizer)
    if family is not None:
        return FamilySpeech(tokenizer, family)
    if tokenizer.chat_template == compact.chat_template():
        return CompactSpeech(tokenizer)
    require_generation_markers(tokenizer)
    raise TemplateFault(
        f"the chat template of {tokenizer.name_or_path} names no dialect, so its calls cannot be parsed: make the "
        f"checkpoint a source of kind pretrained with one of the families {', '.join(FAMILIES)}"
    )


class CompactSpeech:
    """The tiny model's: one word a token, a turn ends with its end token."""

    name = "compact"

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[tuple[tuple[str, str], ...], list[int]] = {}
        self._read: dict[tuple[int, ...], str] = {}
        self.end = int(tokenizer.eos_token_id)
        self.ends = frozenset({self.end})

    def prompt(self, episode: Episode) -> list[int]:
        """The instruction."""
        return list(self._encoded(episode.messages))

    def observation(self, message: Message) -> list[int]:
        """The tool's answer."""
        return self._encoded([message])

    def has_ended(self, turn: Sequence[int]) -> bool:
        """At the end token."""
        return turn[-1] == self.end

    def read(self, turn: Sequence[int], episode: Episode, ended: bool) -> Turn:
        """A call, where every word fits."""
        text = self._text(tuple(turn[:-1] if ended else turn))
        if ended:
            try:
                return Turn(compact.parse_call(text, episode.environment.tools), new_tokens=len(turn))
            except ParseFault:
                pass
        return Turn(None, text, len(turn))

    def _text(self, written: tuple[int, ...]) -> str:
        """Many turns are written alike."""
        if written not in self._read:
            self._read[written] = str(
                self._tokenizer.decode(written, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            )
        return self._read[written]

    def _encoded(self, messages: Sequence[Message]) -> list[int]:
        """Twins and samples have the same instruction, and many calls the same answer: each is encoded once."""
        key = tuple((message.role, message.content) for message in messages)
        if key not in self._known:
            self._known[key] = self._encode(messages)
        return self._known[key]

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        spoken = [
            {"role": m.role, "content": neutralise_special_tokens(m.content, self._tokenizer)} for m in messages
        ]
        text = self._tokenizer.apply_chat_template(spoken, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


class FamilySpeech:
    """A family's: JSON calls, tools shown in the prompt; a turn ends with its call, or with an end token."""

    name: str

    def __init__(self, tokenizer: PreTrainedTokenizerBase, family: Family) -> None:
        self._tokenizer = tokenizer
        self._family = family
        self._observations: dict[str, list[int]] = {}
        vocabulary = tokenizer.get_vocab()
        closing = ">" if family.tagged else "}"
        self._closers = {index for token, index in vocabulary.items() if closing in token}
        self.name = family.name
        self.end = vocabulary[family.end]
        self.ends = frozenset(vocabulary[t] for t in (family.end, *family.further_ends) if t in vocabulary)

    def prompt(self, episode: Episode) -> list[int]:
        """System message, tools and instruction."""
        return self._tokens(self._render(episode.messages, episode.tools, turn_follows=True))

    def observation(self, message: Message) -> list[int]:
        """The tool's answer, as it follows any turn."""
        if message.content not in self._observations:
            before = [Message(role="user", content="-"), Message(role="assistant", content="-")]
            spoken = self._render(before, (), turn_follows=False)
            whole = self._render([*before, message], (), turn_follows=True)
            start = spoken.rindex(self._family.end) + len(self._family.end)
            self._observations[message.content] = self._tokens(whole[start:])
        return self._observations[message.content]

    def has_ended(self, turn: Sequence[int]) -> bool:
        """At an end token, or as soon as a call has been written."""
        last = turn[-1]
        return last in self.ends or (last in self._closers and self._family.call_has_ended(self._text(turn)))

    def read(self, turn: Sequence[int], episode: Episode, ended: bool) -> Turn:
        """One call, with what was said before it; else the text as it was written."""
        text = self._text(turn[:-1] if turn[-1] in self.ends else turn)
        if ended:
            try:
                said, call = self._family.parse(text)
                return Turn(call, said, len(turn))
            except ParseFault:
                pass
        return Turn(None, text, len(turn), spoken=ended and not self._family.attempts_call(text))

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _render(self, messages: Sequence[Message], tools: Sequence[object], turn_follows: bool) -> str:
        spoken = to_template_messages(messages, self._tokenizer)
        return str(
            self._tokenizer.apply_chat_template(
                spoken, tools=list(tools) or None, tokenize=False, add_generation_prompt=turn_follows
            )
        )

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
