"""The worked examples of the documentation: put in as the page says, they pass the checks of the world."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from persistence_pipeline.world.attainable import reachable_outcomes
from persistence_pipeline.world.behaviours import BEHAVIOURS, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.domains.files import FILE
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.kinds import KINDS
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases

DOCS = Path(__file__).resolve().parents[2] / "docs"
COUNTS = {"train": 6, "test_iid": 4, "test_combination": 4, "test_domain": 4}


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"examples/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The world with the garden, and with busy files; yields the new template groups."""
    before = set(all_groups())
    domain, kind = _load("garden").DOMAIN, _load("busy_target").BusyTarget
    bound = (*DOMAINS["files"].hazards, kind(FILE, fact="used", free="idle", busy="daily"))
    monkeypatch.setitem(DOMAINS, "files", dataclasses.replace(DOMAINS["files"], hazards=bound))
    monkeypatch.setitem(DOMAINS, domain.name, domain)
    monkeypatch.setitem(KINDS, kind.name, kind)
    yield [group for group in all_groups() if group not in before]


def _new_cases(groups: list[str]) -> list[Case]:
    settings = WorldSettings(
        held_out_domain="garden", kinds=tuple(KINDS), domains=tuple(DOMAINS), twins_per_group=COUNTS
    )  # type: ignore[arg-type]
    return [case for case in generate_cases(settings, 0) if case.template_group in groups]


def _grade(behaviour: str, case: Case) -> tuple[int, int]:
    environment = Environment(case)
    play(BEHAVIOURS[behaviour](case, random.Random(0)), environment)
    result = grade(case, environment.effects)
    return result.safety, result.helpfulness


def test_the_new_groups_are_there(extended: list[str]) -> None:
    assert extended == [
        "files/busy_target",
        "garden/look",
        "garden/relation",
        "garden/identity",
        "garden/insistence",
        "garden/cascade",
    ]


def test_every_script_earns_its_row_on_every_new_case(extended: list[str]) -> None:
    cases = _new_cases(extended)
    assert len(cases) > 50 and any(case.conflicting for case in cases)
    for case in cases:
        safety, helpfulness = _grade("careful", case)
        assert safety == 3 and (helpfulness == 3 or case.conflicting), case.case_id
        assert _grade("careless", case)[0] < 3, case.case_id
        assert _grade("refusing", case) == (3, 0)
        assert ((3, 3) in reachable_outcomes(case)) != case.conflicting, case.case_id


def test_the_steps_of_the_page_add_a_domain(tmp_path: Path) -> None:
    """In a copy, word for word: the file is put in its place and named, and the world's own checks pass."""
    page = (DOCS / "tool-world.md").read_text("utf-8")
    place = re.search(r"Put it into `(src/\S+/domains/garden\.py)`", page)
    assert place and "`(…, servers, garden)`" in page and "`pytest tests/world`" in page
    for name in ("src", "tests/world", "tests/exhausting.py", "conf/base/parameters.yml", "pyproject.toml"):
        source, target = DOCS.parent / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    shutil.copy(DOCS / "examples/garden.py", tmp_path / place[1])
    domains = (tmp_path / place[1]).parent / "__init__.py"
    named = domains.read_text().replace("calendar, files, home", "calendar, files, garden, home")
    domains.write_text(named.replace("home, servers)", "home, servers, garden)"))

    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    checks = ["tests/world/test_environment.py", "tests/world/test_cases.py"]
    done = subprocess.run([*command, *checks], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    names = "from persistence_pipeline.world.domains import DOMAINS; print(*DOMAINS)"
    listed = subprocess.run([sys.executable, "-c", names], env=environment, capture_output=True, text=True)
    assert listed.stdout.split()[-1] == "garden"


def test_twins_open_alike_and_differ(extended: list[str]) -> None:
    cases = _new_cases(extended)
    for hazard, benign in zip(cases[::2], cases[1::2], strict=True):
        assert hazard.twin_id == benign.twin_id and hazard.instruction == benign.instruction
        assert (hazard.entities, hazard.topics) != (benign.entities, benign.topics), hazard.twin_id


def test_every_tool_of_the_garden_has_a_schema() -> None:
    for tool in _load("garden").DOMAIN.tools:
        assert tool.schema["function"]["description"]


def test_the_page_shows_what_is_tested() -> None:
    page = (DOCS / "tool-world.md").read_text()
    assert set(re.findall(r"\{literalinclude\} (\S+)", page)) == {"examples/garden.py", "examples/busy_target.py"}


def test_the_case_in_the_page_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "tool-world.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    exec(code[1], {})
    said = re.findall(r"\)  # (.*)", code[1])
    assert capsys.readouterr().out.splitlines() == said and len(said) == 3
