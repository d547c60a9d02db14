"""Builds the documentation without a network: Markdown by MyST, the look by Furo, the API from docstrings."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "persistence_pipeline"
API = DOCS / "api"
SECTION = """## `{module}`

```{{eval-rst}}
.. automodule:: {module}
```
"""
HIDDEN_FROM_API = ("pipelines", "hooks", "runners", "dvc", "provenance", "report")
"""Packages without a page: nobody calls them but Kedro, DVC and the report's own node."""
HEAVY = ("training/trainer.py", "training/worker.py")
"""Modules that import torch and TRL at once; what they offer is documented where it is called."""

project = "persistence-pipeline"
author = "The persistence-pipeline contributors"
copyright = "The persistence-pipeline contributors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]
html_theme = "furo"
html_title = "persistence-pipeline"
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0069a3", "color-brand-content": "#0069a3"},
    "dark_css_variables": {"color-brand-primary": "#6bbcf0", "color-brand-content": "#6bbcf0"},
}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
    "exclude-members": "model_config,model_post_init,Config",
}
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
napoleon_use_ivar = True
# Two classes of one name, in different packages: the shorter reference is as good as none.
suppress_warnings = ["ref.python"]


def write_api_pages() -> None:
    """One page for each package, with all of its public modules."""
    shutil.rmtree(API, ignore_errors=True)
    API.mkdir()
    packages = [path.parent for path in sorted(SOURCE.glob("*/__init__.py"))]
    pages = {folder.name: _modules(folder) for folder in packages if folder.name not in HIDDEN_FROM_API}
    pages["records"] = [
        "persistence_pipeline.records",
        "persistence_pipeline.schemas",
        "persistence_pipeline.input_errors",
        "persistence_pipeline.session",
    ]
    for name, modules in pages.items():
        text = "\n".join(SECTION.format(module=module) for module in modules)
        (API / f"{name}.md").write_text(f"# {name}\n\n{text}", encoding="utf-8")


def _modules(folder: Path) -> list[str]:
    return [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        for path in sorted(folder.rglob("*.py"))
        if not path.name.startswith("_") and path.stat().st_size and not path.as_posix().endswith(HEAVY)
    ]


def _fit_contents(app: Any, name: str, source: list[str]) -> None:
    """The start page's lists: without patterns that no page fits, and with every page that no list names."""
    if name != "index":
        return
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index", "README"}
    lines = source[0].splitlines()
    missing = [line for line in lines if line.endswith("*") and not any(fnmatch(page, line) for page in pages)]
    listed = [line for line in lines if line and " " not in line]
    unlisted = sorted(page for page in pages if not any(fnmatch(page, line) for line in listed))
    kept = "\n".join(line for line in lines if line not in missing or line.startswith("api/"))
    source[0] = kept.replace("<!-- unlisted -->", "\n".join(unlisted))


def setup(app: Any) -> None:
    write_api_pages()
    app.connect("source-read", _fit_contents)
