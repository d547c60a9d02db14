"""The numbers of a study as a file for Git."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.report.conftest import Study

from persistence_pipeline.analysis.headline import headline_metrics
from persistence_pipeline.provenance.results import NoResultsError, tracked_results, write_results
from persistence_pipeline.report.manifest import processor


@pytest.fixture
def project(scripted_study: Study, tmp_path: Path) -> Path:
    """A project whose default study has been reported; its environment `mine` has run nothing."""
    for env in ("base", "mine"):
        (tmp_path / "conf" / env).mkdir(parents=True)
    (tmp_path / "conf/base/globals.yml").write_text("data: data\n")
    (tmp_path / "data/08_reporting").mkdir(parents=True)
    (tmp_path / "data/08_reporting/summary.json").write_text(json.dumps(scripted_study.summary))
    return tmp_path


def test_a_processor_is_named_with_what_the_environment_limits_it_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    as_it_is = processor()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert processor() == f"{as_it_is}, ATEN_CPU_CAPABILITY=avx2"


def test_the_file_says_what_came_out_and_where(project: Path, scripted_study: Study) -> None:
    path = project / "docs/results/base.json"
    assert write_results(project, "base") == path
    results = json.loads(path.read_text())
    assert results["metrics"] == headline_metrics(scripted_study.summary)
    run = scripted_study.summary["run"]
    assert results["run"]["commit"] == run["commit"] and results["run"]["scores_sha256"] == run["scores_sha256"]
    assert results["run"]["processor"] == processor() and len(processor()) > 5
    assert results["run"]["versions"]["torch"] and "parameters" not in results["run"]
    of_world = scripted_study.summary | {"run": run | {"parameters": {"world": {"conflict_share": 0.25}}}}
    assert tracked_results(of_world)["run"]["conflict_share"] == 0.25
    told = results["numbers"]["surviving"][0]["safety"]["survives"]["told_apart"]
    of_run = scripted_study.summary["surviving"][0]["safety"]["survives"]["told_apart"]
    assert told["estimate"] == pytest.approx(of_run["estimate"], abs=1e-6) and "error" not in told
    stage, report = results["numbers"]["stages"][0], scripted_study.summary["audits"]["training"][0]
    assert stage["cell"] == report["cell"] and stage["after"] - stage["before"] == pytest.approx(
        report["chosen_logp_change"] - report["rejected_logp_change"], abs=1e-5
    )
    assert [cell["cell"] for cell in results["cells"]] == [
        cell["cell"] for cell in scripted_study.summary["cells"]
    ]


def test_another_study_is_kept_under_a_name_of_its_own(project: Path, tmp_path: Path) -> None:
    path = project / "docs/results/line-0.json"
    assert write_results(project, "mine", project / "data/08_reporting", "line-0") == path
    assert json.loads(path.read_text())["numbers"]["frontier"]["points"]
    with pytest.raises(NoResultsError, match=r"--name: expected letters.*'\.\./x'"):
        write_results(project, "base", None, "../x")


@pytest.mark.parametrize(
    ("env", "said"),
    [("mine", r"data/mine/08_reporting/summary.json is not there: run the study first \(kedro run --env=mine\)"),
     ("other", "no environment is named 'other'")],
)  # fmt: skip
def test_there_is_no_study(project: Path, env: str, said: str) -> None:
    with pytest.raises(NoResultsError, match=said):
        write_results(project, env)
    assert not (project / "docs").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": {}}', '{"run": {"commit": "x"}, "frontier": 1}'])
def test_a_summary_of_another_version_is_named(project: Path, content: str) -> None:
    (project / "data/08_reporting/summary.json").write_text(content)
    with pytest.raises(NoResultsError, match=r"summary\.json was not written by this version"):
        write_results(project, "base")
