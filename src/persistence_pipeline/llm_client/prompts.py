"""Prompts, rendered from the text files of a package. Values reach them quoted (``untrusted.py``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def render(package: str, name: str, **values: Any) -> str:
    """The text of ``prompts/<name>.jinja`` of a package, filled in; a value that is missing is an error."""
    return str(_environment(package).get_template(f"{name}.jinja").render(**values)).strip()


@lru_cache
def _environment(package: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from persistence_pipeline.llm_client.untrusted import quoted

    environment = Environment(
        loader=PackageLoader(package, "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - plain text, quoted by the filter
    )
    environment.filters["quoted"] = quoted
    return environment
