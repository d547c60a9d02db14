"""The base of groups of parameters: they take what they say, and nothing that could be meant otherwise.

A group that is refused is refused in one line: where, what was expected, what was found, and which name was meant.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persistence_pipeline.json_values import shortened

Path = tuple[str | int, ...]
"""Where a value stands: names of groups and places in lists, from the outside inwards."""
SHOWN = 60
"""Characters of a refused value that are shown."""
LISTED = 20
"""Known names up to which a message lists them."""
UNSHOWN = frozenset({"api_key", "base_url", "extra"})
"""Settings whose value may hold a key."""


class Strict(BaseModel):
    """Settings that refuse unknown names, yes or a text in place of a number, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""NumPy takes seeds of 32 bits."""
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that a user chooses, and that names files."""
Model = TypeVar("Model", bound=BaseModel)


class SettingError(ValueError):
    """A setting that cannot be taken; ``path`` says which."""

    def __init__(self, path: Path, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{dotted(path)}: {message}" if path else message)


def dotted(path: Path) -> str:
    """As parameters are named on the command line."""
    return ".".join(map(str, path))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """A hint behind a refused name: the nearest right one, else all, where they are few."""
    names = sorted(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {near}?"
    return f"there are {', '.join(names)}" if 0 < len(names) <= LISTED else "none is like it"


def parse(model: type[Model], fields: object) -> Model:
    """Settings of a kind from their fields.

    Raises:
        SettingError: for the first fault; unknown names come first, for they explain what is missing.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        kinds = ("extra_forbidden", "literal_error", "missing")
        fault = min(faults, key=lambda fault: kinds.index(fault["type"]) if fault["type"] in kinds else len(kinds))
        raise _refused(fault, model, fields) from None


def parse_part(model: type[BaseModel], path: Path, value: object) -> None:
    """See that a group could have this value at a place, whatever else it needs.

    Raises:
        SettingError: naming the place, and the name that was probably meant.
    """
    fields = value
    for part in reversed(path):
        fields = {part: fields}
    try:
        model.model_validate(fields)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            if fault["loc"][: len(path)] == path:
                raise _refused(fault, model, fields) from None


def _refused(fault: Any, model: type[BaseModel], fields: object) -> SettingError:
    kind, found = fault["type"], fault["input"]
    is_key = fault["loc"][-1:] == ("[key]",)
    path = _present(fault["loc"], fields, missing=kind == "missing")
    if kind == "extra_forbidden":
        return SettingError(path, f"no such name; {_meant(path, model)}")
    if kind == "missing":
        return SettingError(path, f"expected, but missing{_or_meant(path, model, fields)}")
    if kind == "literal_error":
        known = [part.strip("'") for part in fault["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        if is_key:
            return SettingError(path, f"no such name; {hint(str(found), known)}")
        near = nearest(found, known) if isinstance(found, str) else None
        return SettingError(
            path, f"{fault['msg']}, got {_short(found)}{f'; did you mean {near!r}?' if near else ''}"
        )
    if kind == "string_pattern_mismatch":
        return SettingError(path, f"{found!r}: a name is made of letters, digits, ., _ and -")
    if kind == "value_error":
        return SettingError(path, str(fault["msg"]).removeprefix("Value error, "))
    expected = (
        "expected a group of names"
        if kind in ("model_type", "dict_type")
        else str(fault["msg"]).replace("tuple", "list")
    )
    return SettingError(path, expected if UNSHOWN & set(path) else f"{expected}, got {_short(found)}")


def _short(value: object) -> str:
    text = repr(value)
    return shortened(text, SHOWN)


def _present(location: Sequence[str | int], fields: object, *, missing: bool) -> Path:
    """The place without what pydantic adds to it about unions and keys."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        inside = isinstance(fields, Mapping) and part in fields
        inside = inside or (isinstance(fields, Sequence) and isinstance(part, int) and part < len(fields))
        if inside:
            fields = fields[part]  # type: ignore[index]
        if inside or (missing and index == len(location) - 1):
            path.append(part)
    return tuple(path)


def _meant(path: Path, model: type[BaseModel]) -> str:
    """Which name was meant: the nearest of the group, else one of the same spelling elsewhere."""
    name = str(path[-1])
    known = set(_names(model, path[:-1]))
    if nearest(name, known) is None:
        elsewhere = [dotted(place) for place in _places(model) if place[-1] == name]
        if elsewhere:
            return f"did you mean {nearest(dotted(path), elsewhere) or elsewhere[0]}?"
    return hint(name, known)


def _or_meant(path: Path, model: type[BaseModel], fields: Any) -> str:
    """Which of the names that the user chose was perhaps meant, where a group under such a name is not whole."""
    *outside, name = path[:-1] or ("",)
    if not outside or next(_names(model, tuple(outside)), None) is not None:
        return ""
    for part in outside:
        fields = fields[part]
    near = nearest(str(name), [str(other) for other in fields if other != name])
    return f"; or did you mean {dotted((*outside, near))}?" if near else ""


def _names(kind: Any, path: Path) -> Iterator[str]:
    """Names that a group may have at a place."""
    for model, nested in _groups(kind):
        if not path:
            yield from model.model_fields if model else ()
        elif model is None:
            yield from _names(nested, path[1:])
        elif path[0] in model.model_fields:
            yield from _names(model.model_fields[str(path[0])].annotation, path[1:])


def _places(kind: Any) -> Iterator[tuple[str, ...]]:
    """Every place at which a group has a name of its own; names that a user chooses stand as ``<name>``."""
    for model, nested in _groups(kind):
        if model is None:
            yield from (("<name>", *place) for place in _places(nested))
        else:
            for name, field in model.model_fields.items():
                yield (name,)
                yield from ((name, *place) for place in _places(field.annotation))


def _groups(kind: Any) -> Iterator[tuple[type[BaseModel] | None, Any]]:
    """The models of a type, and the values' types of its mappings and lists."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        for part in get_args(kind):
            yield from _groups(part)
    elif origin is Annotated:
        yield from _groups(get_args(kind)[0])
    elif origin in (dict, list, tuple):
        yield None, get_args(kind)[-1]
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind, None
