"""Dialects of checkpoints: where a turn ends, and which call or text its tokens are.

Which dialect is spoken stands in the checkpoint's chat template: that of the tiny model, or that of a family of
real models. How transcripts become tokens is said in ``agents/transcript.py``, for rollouts and training alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from persistence_pipeline.agents import compact
from persistence_pipeline.agents.chat import TemplateError, require_generation_markers
from persistence_pipeline.agents.compact import ParseError
from persistence_pipeline.agents.families import MODEL_FAMILIES, ModelFamily, recorded_family
from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.records import Message, Sampled, ToolCall
from persistence_pipeline.rollout.episode import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Dialect(Protocol):
    """A way of writing turns, over one tokenizer."""

    name: str
    transcript: Transcript

    def has_ended(self, turn: Sequence[int]) -> bool:
        """True if the turn is over with its last token."""
        ...

    def parse_turn(self, turn: Sequence[int], tools: Mapping[str, Any], ended: bool) -> Turn:
        """The call or the text of a turn; a turn that was cut is no call."""
        ...


def dialect_of(tokenizer: PreTrainedTokenizerBase) -> Dialect:
    """The dialect that a checkpoint's chat template records.

    Raises:
        TemplateError: it records none; says what to do.
    """
    family = recorded_family(tokenizer)
    if family is not None:
        return FamilyDialect(tokenizer, family)
    if tokenizer.chat_template == compact.chat_template():
        return CompactDialect(tokenizer)
    require_generation_markers(tokenizer)
    raise TemplateError(
        f"the chat template of {tokenizer.name_or_path} names no dialect, so its calls cannot be parsed: make the "
        f"checkpoint a source of kind pretrained with one of the families {', '.join(MODEL_FAMILIES)}"
    )


class _WithTranscript:
    """The tokenizer and the transcript that every dialect has."""

    name: str

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.transcript = Transcript(tokenizer)

    def _turn(self, ids: Sequence[int], call: ToolCall | None, text: str, spoken: bool, respelled: bool) -> Turn:
        sampled = Sampled(ids=tuple(ids), tokenizer=self.transcript.identity)
        cut = bool(self.transcript.appended(ids))
        return Turn(call, text, len(ids), spoken, sampled, self.name, ended_by_engine=cut, respelled=respelled)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))


class CompactDialect(_WithTranscript):
    """The tiny model's: one word a token, a turn ends with its end token."""

    name = "compact"

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(tokenizer)
        self._end = int(tokenizer.eos_token_id)
        self._special = frozenset(tokenizer.convert_tokens_to_ids(list(compact.SPECIAL_TOKENS)))
        self._texts: dict[tuple[int, ...], str] = {}

    def has_ended(self, turn: Sequence[int]) -> bool:
        """At the end token."""
        return turn[-1] == self._end

    def parse_turn(self, turn: Sequence[int], tools: Mapping[str, Any], ended: bool) -> Turn:
        """A call, where every word fits."""
        written = tuple(turn[:-1] if ended else turn)
        if written not in self._texts:
            self._texts[written] = self._text(written)
        text = self._texts[written]
        if ended:
            try:
                call = compact.parse_call(text, tools)
                return self._turn(turn, call, "", False, respelled=compact.words(call) != text.split())
            except ParseError:
                pass
        return self._turn(turn, None, text, False, respelled=not self._special.isdisjoint(written))


class FamilyDialect(_WithTranscript):
    """A family's: JSON calls, tools shown in the prompt; a turn ends with its call, or with an end token."""

    name: str

    def __init__(self, tokenizer: PreTrainedTokenizerBase, family: ModelFamily) -> None:
        super().__init__(tokenizer)
        self._family = family
        closer = family.calls.closer
        self._closers = {index for token, index in tokenizer.get_vocab().items() if closer in token}
        self.name = family.name

    def has_ended(self, turn: Sequence[int]) -> bool:
        """At an end token, or as soon as a call has been written."""
        last = turn[-1]
        if last in self.transcript.ends:
            return True
        return last in self._closers and self._family.calls.has_ended(self._text(turn))

    def parse_turn(self, turn: Sequence[int], tools: Mapping[str, Any], ended: bool) -> Turn:
        """One call, with what was said before it; else the text as it was written."""
        text = self._text(turn[:-1] if turn[-1] in self.transcript.ends else turn)
        if ended:
            try:
                before, call = self._family.calls.parse(text)
                return self._turn(turn, call, before, False, self._respelled(turn, before, call))
            except ParseError:
                pass
        spoken = ended and not self._family.calls.attempted(text)
        return self._turn(turn, None, text, spoken, self._respelled(turn, text))

    def _respelled(self, turn: Sequence[int], text: str, *calls: ToolCall) -> bool:
        canonical = self.transcript.turn(Message(role="assistant", content=text, tool_calls=calls))
        return [*turn, *self.transcript.appended(turn)] != canonical
