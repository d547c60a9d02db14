"""The prompts, rendered from text files beside this module. Values reach them quoted (``untrusted.py``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def render(name: str, **values: Any) -> str:
    """The text of ``prompts/<name>.jinja``; a value that is missing is an error."""
    return str(_environment().get_template(f"{name}.jinja").render(**values)).strip()


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from persistence_pipeline.judging.untrusted import quoted

    environment = Environment(
        loader=PackageLoader("persistence_pipeline.judging", "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - plain text, quoted by the filter
    )
    environment.filters["quoted"] = quoted
    return environment
