"""Families of real models: how each is shown tools and observations, writes calls, and ends a turn.

A family is data: a file of YAML (``templates/<family>.yml``, or one of the user's own) that names a chat template.
The template writes what the family's own template writes, with markers around what the agent wrote, and never
writes earlier turns differently when later ones follow. A checkpoint's chat template begins with the family's
data, so a checkpoint says by itself how it is spoken to. How calls are parsed lives in ``calls.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from persistence_pipeline import yaml_files
from persistence_pipeline.agents.calls import CallFormat, Word
from persistence_pipeline.agents.chat import TemplateError, without_control_tokens
from persistence_pipeline.records import Message
from persistence_pipeline.strict import SettingError, Strict, hint, parse

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHIPPED = Path(str(files(__package__) / "templates"))
_RECORDED = re.compile(r"\{%- set family = (\{.*\}) -%\}\n")
_SPECIAL = r"<\|[^<>|\s]*\|>"
_TAGS = r"</?(?:tool_call|tool_response|tools|think)>"


class ModelFamily(Strict):
    """The control tokens, the rendering and the call format that models of one family share."""

    model_config = ConfigDict(frozen=True)

    name: Word
    template: str
    """Text of its chat template, which reads ``family``: these data without the template."""
    model_types: tuple[Word, ...] = Field((), strict=False)
    """``model_type`` of configurations for which it is found unasked; ``control_tokens`` tell families of one
    architecture apart."""
    control_tokens: tuple[Word, ...] = Field(strict=False)
    """Each must be one token of the tokenizer."""
    end: Word
    """Ends a turn."""
    further_ends: tuple[Word, ...] = Field(("<|endoftext|>",), strict=False)
    """Tokens that end a turn too where a model writes them."""
    pad: Word = "<|endoftext|>"
    """Serves for padding where the tokenizer names no token for it."""
    calls: CallFormat
    tools: Literal["schemas", "signatures"] = "schemas"
    """How a template that reads it shows tools: as JSON schemas, or as names with those of their arguments."""
    observations: Word = "tool"
    """The role in which a template that reads it shows what tools answer."""
    system: bool = True
    """Whether a template that reads it shows what the system message says beside the tools."""

    def chat_template(self) -> str:
        """Text of a checkpoint's chat template: the family's data, then its template."""
        data = json.dumps(self.model_dump(mode="json", exclude={"template"}))
        return f"{{%- set family = {data} -%}}\n{self.template}"


def read_family(file: Path) -> ModelFamily:
    """The family that a file describes; the file's name is its name.

    Its ``template`` is a file beside it, or one of those that come with the project.

    Raises:
        TemplateError: there is no such file, it says what a family cannot be, or its template does not mark what
            the agent wrote.
    """
    try:
        fields = yaml_files.load(file)
    except yaml_files.YamlError as fault:
        raise TemplateError(f"family {fault}") from None
    named = fields.get("template") if isinstance(fields, dict) else None
    if not isinstance(named, str):
        raise TemplateError(f"family {file}: template: expected the name of a file with a chat template")
    path = next((there for there in (file.parent / named, SHIPPED / named) if there.is_file()), None)
    if path is None:
        there = ", ".join(sorted(file.name for file in SHIPPED.glob("*.jinja") if file.stem != "compact"))
        raise TemplateError(
            f"family {file}: template: no file {file.parent / named}; with the project come {there}"
        )
    try:
        template = yaml_files.read_text(path)
        family = parse(ModelFamily, {**fields, "name": file.stem, "template": template})
    except (SettingError, yaml_files.YamlError) as fault:
        raise TemplateError(f"family {file}: {fault}") from None
    if not re.search(r"{%-?\s*generation\s*-?%}", template):
        raise TemplateError(
            f"family {file}: {path} lacks generation markers: put {{% generation %}} and {{% endgeneration %}} "
            "around what the agent writes"
        )
    return family


MODEL_FAMILIES = {path.stem: read_family(path) for path in sorted(SHIPPED.glob("*.yml"))}
"""The families that come with the project, by name."""


def family_of(named: str) -> ModelFamily:
    """A family by its name, or by the path of the file that describes it.

    Raises:
        TemplateError: there is none, or its file cannot be taken.
    """
    if named in MODEL_FAMILIES:
        return MODEL_FAMILIES[named]
    if not named.endswith((".yml", ".yaml")):
        raise TemplateError(
            f"no family is named {named!r}; {hint(named, MODEL_FAMILIES)} (one of your own is named by the path "
            "of its file, .yml)"
        )
    return read_family(Path(named).expanduser())


def _known(named: str) -> str:
    family_of(named)
    return named


FamilyName = Annotated[str, AfterValidator(_known)]
"""A setting that names a family, or its file."""


def find_family(model_type: str, tokenizer: PreTrainedTokenizerBase) -> ModelFamily:
    """The family of a model, from its configuration and its tokenizer's control tokens.

    Raises:
        TemplateError: none fits; says which there are and what can be done.
    """
    fitting = [f for f in MODEL_FAMILIES.values() if model_type in f.model_types and not _missing(f, tokenizer)]
    if fitting:
        return fitting[0]
    name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
    raise TemplateError(
        f"{name}: no known family fits model_type {model_type!r} with these control tokens: give the source one "
        f"of the families {', '.join(MODEL_FAMILIES)} whose control tokens its tokenizer has, or a file that "
        "describes its own, with a chat template that has {% generation %} markers around what the agent writes"
    )


def use_family(tokenizer: PreTrainedTokenizerBase, family: ModelFamily) -> None:
    """Give a tokenizer the family's chat template, its end of a turn, and a token for padding.

    Raises:
        TemplateError: a control token of the family is not one token of the tokenizer.
    """
    missing = _missing(family, tokenizer)
    if missing:
        raise TemplateError(
            f"family {family.name} needs {', '.join(missing)} as single tokens, which the tokenizer lacks"
        )
    tokenizer.chat_template = family.chat_template()
    tokenizer.eos_token = family.end
    if tokenizer.pad_token is None:
        tokenizer.pad_token = family.pad if family.pad in tokenizer.get_vocab() else family.end


def recorded_family(tokenizer: PreTrainedTokenizerBase) -> ModelFamily | None:
    """The family whose data a checkpoint's chat template begins with; None where it has none.

    Raises:
        TemplateError: the data are not those of a family.
    """
    template = tokenizer.chat_template
    match = _RECORDED.match(template) if isinstance(template, str) else None
    if match is None:
        return None
    try:
        return parse(ModelFamily, {**json.loads(match[1]), "template": template[match.end() :]})
    except ValueError as fault:
        raise TemplateError(f"the family in the chat template of {tokenizer.name_or_path}: {fault}") from None


def made_safe(message: Message, family: ModelFamily | None = None) -> Message:
    """The message for a server that renders it: without control tokens of any family where nobody may write one.

    That is in what users and tools say, and in the names and arguments of calls, where JSON escapes may have
    spelled them. In what an agent says the tags of its family stay.
    """
    own = () if family is None else (*family.control_tokens, family.end)
    tags = family.calls.tags if family is not None and family.calls.tagged else ()
    return without_control_tokens(message, control_pattern(*own, *tags), _pattern(_SPECIAL, *set(own) - set(tags)))


def control_pattern(*further: str) -> re.Pattern[str]:
    """Matches control tokens as families write them, and these."""
    return _pattern(f"{_SPECIAL}|{_TAGS}", *sorted(further))


@lru_cache(maxsize=16)
def _pattern(known: str, *further: str) -> re.Pattern[str]:
    return re.compile("|".join([known, *map(re.escape, further)]))


def _missing(family: ModelFamily, tokenizer: PreTrainedTokenizerBase) -> Sequence[str]:
    vocabulary = tokenizer.get_vocab()
    return [token for token in family.control_tokens if token not in vocabulary]
