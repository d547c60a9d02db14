"""The files behind a piece of code, compared with an independent import graph."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

from persistence_pipeline.provenance import import_graph as code

PACKAGE = "persistence_pipeline"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


def test_every_module_s_imports_agree_with_the_import_graph(graph: grimp.ImportGraph) -> None:
    for module in sorted(graph.modules):
        ours = code._imports(module) - {module}
        assert ours == graph.find_modules_directly_imported_by(module), module


def test_everything_reached_is_there_with_its_packages(graph: grimp.ImportGraph) -> None:
    reached = code._closure([f"{PACKAGE}.training.dpo"])
    assert graph.find_upstream_modules(f"{PACKAGE}.training.dpo") <= reached
    for module in reached:
        assert graph.find_modules_directly_imported_by(module) <= reached
        assert module == PACKAGE or module.rpartition(".")[0] in reached


def _behind(step: str, function: str) -> set[str]:
    files = code.files_behind([(f"{PACKAGE}.pipelines.{step}", function)])
    return {str(path.relative_to(PACKAGE)) for path in files}


def test_a_node_function_stands_for_what_it_names_itself() -> None:
    """`tool_world.py` imports rollouts and reports; making cases needs neither."""
    cases = _behind("tool_world", "make_cases")
    assert {"pipelines/tool_world.py", "world/splits.py", "world/domains/calendar.py"} <= cases
    assert not any(name.startswith(("training/", "rollout/", "agents/", "preferences/")) for name in cases)


def test_helpers_constants_and_templates_count() -> None:
    rollout = _behind("tool_world", "roll_out_tests")  # calls a helper of its module
    assert {"rollout/run.py", "world/scoring.py", "agents/templates/compact.jinja"} <= rollout
    assert "report/templates/report.html.jinja" in _behind("reporting.nodes", "write_report")
    assert "report/page.py" in _behind("reporting.nodes", "draw_figures")


def test_every_file_exists() -> None:
    for step, function in (("training.nodes", "train_cell"), ("frontier.nodes", "analyse")):
        for path in _behind(step, function):
            assert (code.ROOT / Path(path)).is_file()
