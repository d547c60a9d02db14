"""Where a refused parameter stands: file and line, or the command line; and what YAML makes of words."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzzing import examples
from tests.parameters.sessions import CONF, ROOT, loaded, refusal
from tests.projects import copy_project

from persistence_pipeline import yaml_files

EXAMPLE = re.compile(r"kedro run ([^\n`#<]*)--params=(\S+?)[`\s]")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(CONF, tmp_path / "conf")
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "extra/parameters_x.yml",
            "pairings: {safety: {min_gap: 2}}",
            "1: pairings: no such name; did you mean pairi",
        ),
        ("parameters_x.yml", "\n\nanalysys: {seed: 1}", "3: analysys: no such name; did you mean analysis?"),
        ("parameters_x.yml", "report:\n  browser_megabytes: .inf", "2: .inf means inf here"),
        (
            "parameters_x.yml",
            "report:\n  browser_megabytes: 1e999",
            "2: report.browser_megabytes: Input should be a fi",
        ),
        (
            "parameters_x.yml",
            "report: {browser_megabytes: true}",
            "1: report.browser_megabytes: Input should be a va",
        ),
        ("parameters_x.yml", "offline: no", "1: no means false here: write false, or 'no' in quotes for a name"),
        ("parameters_x.yml", "threads: 010", "1: 010 means 8 here, for it begins with 0: write 8 or 10"),
        ("parameters_x.yml", "threads: 1:30", "1: 1:30 means 90 here"),
        ("parameters_x.yml", "threads: 1\nthreads: 2", "2: 'threads' is given twice (also in line 1)"),
        ("parameters_x.yml", "threads: [1", "2: not YAML: did not find expected ',' or ']'"),
        ("parameters_x.yml", "- threads", ": expected names and values"),
        ("globals.yml", "data: data/x\ndatta: y", "2: datta: no such name; did you mean data?"),
        ("globals.yaml", "data: data/x", ": nothing reads a file of this name; did you mean globals.yml?"),
        ("parameter.yml", "threads: 2", ": nothing reads a file of this name; did you mean parameters.yml?"),
        ("params.yml", "threads: 2", ": nothing reads a file of this name; did you mean parameters.yml?"),
    ],
)
def test_a_fault_in_a_file_is_named_by_file_and_line(conf: Path, file: str, text: str, expected: str) -> None:
    path = conf / "smoke" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert f"conf/smoke/{file}:{expected}".replace("::", ":") in refusal("smoke", conf=conf)


def test_a_name_in_two_files_and_a_reference_to_nothing(conf: Path) -> None:
    twice = conf / "smoke/parameters_x.yml"
    twice.write_text("world: {twins_per_group: {train: 3}}")
    assert refusal("smoke", conf=conf) == (
        "conf/smoke/parameters_x.yml:1: world.twins_per_group.train: conf/smoke/parameters.yml:3 sets it too, and "
        "of two files of one environment neither comes first"
    )
    twice.write_text("world: {conflict_share: 0.25}")
    assert loaded("smoke", conf=conf).world.conflict_share == 0.25
    (conf / "smoke/parameters_x.yml").write_text("scratch: ${globals:nothing}")
    assert "nothing" in refusal("smoke", conf=conf)


def test_a_fault_that_is_merged_in_is_named_where_it_was_written(conf: Path) -> None:
    path = conf / "base/parameters.yml"
    path.write_text(path.read_text().replace("  epochs: 1\n", "  epoch: 1\n"))
    line = path.read_text().split("\n").index("  epoch: 1") + 1
    assert refusal("base", conf=conf).startswith(
        f"conf/base/parameters.yml:{line}: training.safety.epoch: no such name; did you mean epochs?"
    )


def test_an_anchor_is_told_where_nothing_refers_to_it(conf: Path, caplog: pytest.LogCaptureFixture) -> None:
    (conf / "smoke/parameters_x.yml").write_text("_stage: &stage {learning_rate: 0.1}")
    loaded("smoke", conf=conf)
    assert "conf/smoke/parameters_x.yml:1: _stage changes nothing" in caplog.text
    assert "base/parameters.yml" not in caplog.text


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (
            "training.helpfullness.learning_rate=0.1",
            "training.helpfullness: no such name; did you mean helpfulness?",
        ),
        ("wrld.conflict_share=0", "wrld: no such name; did you mean world?"),
        ("analysis.n_drawz=7", "analysis.n_drawz: no such name; did you mean n_draws?"),
        (
            "training.safety.learning_ratee=1",
            "training.safety.learning_ratee: no such name; did you mean learning_rat",
        ),
        (
            "policies.llama_b0p1_s0_safty.settings.loss=ipo",
            "policies.llama_b0p1_s0_safty: no such name; did you mean llama_b0p1_s0_s",
        ),
        ("sources.lama.model.layers=2", "sources.lama: no such name; did you mean llama?"),
        ("data=elsewhere", "data: it stands in globals.yml, not among the parameters"),
        ("_stage.learning_rate=1", "_stage: an anchor, which was put in when its file was read"),
        ("threads=1,threads=2", "threads is given twice"),
        ("analysis.seed=010", "analysis.seed: 010 means 8 here"),
        ("analysis.seed=1e3", "analysis.seed: Input should be a valid integer, got 1000.0"),
        ("analysis.seed=4294967296", "analysis.seed: Input should be less than 4294967296"),
        ("rollout.served.api_key=12345", "rollout.served.base_url: expected, but missing"),
    ],
)
def test_a_fault_on_the_command_line_is_named(typed: str, expected: str) -> None:
    said = refusal("smoke", typed)
    assert said.startswith(f"--params: {expected}") and "12345" not in said


def test_what_two_options_say_is_not_half_forgotten() -> None:
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--params=threads=1", "--params=threads=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "error: --params is given 2 times, and the last alone would count" in done.stderr


def test_a_wrong_name_ends_a_run_before_anything_is_loaded(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    command = [sys.executable, "-X", "importtime", "-m", "kedro", "run", "--env=smoke", "--params=wrld.seed=0"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode != 0
    assert said[-1] == "error: --params: wrld: no such name; did you mean world?"
    assert "Traceback" not in done.stderr
    assert not re.search(r"\| +(torch|transformers|trl)$", done.stderr, re.MULTILINE)
    assert not (project / "data").exists()


def test_the_check_of_a_large_study_is_no_wait() -> None:
    from persistence_pipeline.parameter_files import read_parameters
    from persistence_pipeline.session import StudyConfigLoader
    from persistence_pipeline.settings import CONFIG_LOADER_ARGS

    loader = StudyConfigLoader(str(CONF), env="grid", **CONFIG_LOADER_ARGS)
    loader["parameters"] = loader["parameters"]
    started = time.process_time()
    read_parameters(loader)
    assert time.process_time() - started < 0.3  # a fifth of it on an idle machine


def test_what_the_documentation_types_is_accepted() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    found = {match.groups() for text in texts for match in EXAMPLE.finditer(text)}
    tried = 0
    for options, typed in found:
        env = re.search(r"--env=(\w+)", options)
        if "…" in typed or "=<" in typed or not (env is None or (CONF / env[1]).is_dir()):
            continue
        loaded(env[1] if env else "base", typed)
        tried += 1
    assert tried >= 4, found


_NUMBERS = st.one_of(
    st.from_regex(r"[-+]?[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[-+]?[0-9_:.xeE]{1,6}", fullmatch=True),
    st.from_regex(r"[-+]?[0-9]{1,3}\.[0-9]{1,3}([eE][-+]?[0-9])?", fullmatch=True),
    st.sampled_from(
        ["yes", "no", "on", "off", "true", "False", "y", "n", "~", ".inf", "-.INF", ".nan", "0o10", "0b1"]
    ),
)
_seen = {"tried": 0, "accepted": 0}


@examples
@given(word=_NUMBERS)
def test_a_word_is_the_number_that_it_looks_like_or_refused(word: str) -> None:
    _seen["tried"] += 1
    try:
        value = yaml_files.value(word, "word")
    except yaml_files.YamlError as fault:
        assert word.rstrip(":") in str(fault) or "not YAML" in str(fault)  # ``00:`` is a mapping of 00
        return
    _seen["accepted"] += 1
    if isinstance(value, bool):
        assert word.lower() in ("true", "false")
    elif isinstance(value, int | float):
        assert value == float(word) and isinstance(value, int) == word.lstrip("+-").isdigit()
        assert word.lstrip("+-") in ("0", "0.") or not re.match(r"0[0-9]", word.lstrip("+-"))


def test_a_good_share_of_the_words_was_accepted() -> None:
    assert _seen["accepted"] >= 0.3 * _seen["tried"] > 0, _seen
