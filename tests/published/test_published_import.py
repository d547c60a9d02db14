"""Import of a clone: what is read, what is refused, what is set aside, what is cached."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from published_clone import N_CASES, configuration, evaluation_of, rows_of, some_group

from persistence_pipeline.published import importing
from persistence_pipeline.published.importing import import_clone
from persistence_pipeline.published.layout import PublishedError
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.records import Trajectory

N_TRAJECTORIES = (8 + 2 + 20) * N_CASES
Break = Callable[[Path], None]


def test_everything_is_read(settings: PublishedSettings) -> None:
    tables = import_clone(settings)
    episodes = tables["episodes"]
    assert len(episodes) == N_TRAJECTORIES
    assert tables["quarantine"].empty
    assert list(tables["conversations"]["trajectory_id"]) == list(episodes["trajectory_id"])
    assert episodes["stop_reason"].value_counts().to_dict() == {"finish": N_TRAJECTORIES - 4, "token_limit": 4}
    assert episodes["fabricated"].sum() == 2 + 4
    assert (episodes["n_calls"] == 0).sum() == 2


def test_replicates_become_their_median_or_mean(settings: PublishedSettings) -> None:
    first = import_clone(settings)["episodes"].query("case_index == 0")
    assert set(first["safety"]) == {2.0}
    assert set(first["n_replicates"]) == {4}
    mean = import_clone(settings.model_copy(update={"replicates": "mean"}))["episodes"].query("case_index == 0")
    assert mean["safety"].to_numpy() == pytest.approx(5 / 3)


def test_conversations_are_records(settings: PublishedSettings) -> None:
    for record in import_clone(settings)["conversations"]["record"]:
        Trajectory.model_validate_json(record)


def test_the_second_import_reads_tables_only(settings: PublishedSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = import_clone(settings)
    monkeypatch.setattr(importing, "read_group", lambda *_: pytest.fail("parsed again"))
    second = import_clone(settings)
    for name, table in first.items():
        assert table.equals(second[name]), name


def test_a_changed_file_is_parsed_again(settings: PublishedSettings, clone: Path) -> None:
    before = import_clone(settings)["episodes"]
    scores = evaluation_of(some_group(clone), "safe")
    lines = rows_of(scores)
    lines[1] = json.dumps({"eval_id": 1, "eval_scores": {"ToolCallRisk": 0.25}})
    scores.write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = import_clone(settings)["episodes"]
    changed = after["safety"].to_numpy() != before["safety"].to_numpy()
    assert after.loc[changed, "safety"].tolist() == [0.25]


def _edit(path: Path, line: int, change: Callable[[str], str]) -> None:
    lines = rows_of(path)
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _field(name: str, value: object) -> Callable[[str], str]:
    return lambda line: json.dumps({**json.loads(line), name: value})


def _score(value: object) -> Callable[[str], str]:
    return _field("eval_scores", {"ToolCallRisk": value})


def _duplicate(root: Path) -> None:
    path = some_group(root)
    for source in (path, evaluation_of(path, "safe"), evaluation_of(path, "help_ignore_safety")):
        source.with_name(source.name.replace("_0101_", "_0202_")).write_bytes(source.read_bytes())


def _rename(name: str) -> Break:
    """Give a trained configuration, directory and files, another name."""

    def rename(root: Path) -> None:
        folder = some_group(root).parent
        for path in folder.iterdir():
            path.rename(path.with_name(path.name.replace(folder.name, name)))
        folder.rename(folder.with_name(name))

    return rename


def _bytes(root: Path) -> None:
    path = some_group(root)
    path.write_bytes(path.read_bytes().replace(b"I open it", b"I open \xff", 1))


def _broken_link(root: Path) -> None:
    path = evaluation_of(some_group(root), "safe")
    path.unlink()
    path.symlink_to("nowhere")


def _case(**fields: object) -> Callable[[str], str]:
    def change(line: str) -> str:
        parsed = json.loads(line)
        return json.dumps({**parsed, "case": {**parsed["case"], **fields}})

    return change


FAULTS: dict[str, tuple[Break, str, str, int]] = {
    "missing evaluation": (
        lambda root: evaluation_of(some_group(root), "safe").unlink(),
        "missing_file",
        r"_r0-6_0101_120000\.jsonl: its evaluation file .*_eval_agent_safe\.jsonl is missing",
        6,
    ),
    "missing trajectories": (
        lambda root: some_group(root).unlink(),
        "orphan_file",
        r"_eval_agent_\w+\.jsonl: evaluates .*_120000\.jsonl, which is missing",
        6,
    ),
    "unequal line counts": (
        lambda root: evaluation_of(some_group(root), "safe").write_text("{}\n", encoding="utf-8"),
        "line_count",
        r"line counts differ: .*120000\.jsonl has 6, .*safe\.jsonl has 1",
        6,
    ),
    "score too high": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 3, _score(4)),
        "score",
        r"_eval_agent_safe\.jsonl, line 3: field eval_scores.ToolCallRisk: expected a number from 0 to 3, found 4",
        1,
    ),
    "score unparsable": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 2, _score("two")),
        "score",
        r"line 2: field eval_scores.ToolCallRisk: expected a number from 0 to 3, found 'two'",
        1,
    ),
    "score missing": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 2, _field("eval_scores", {})),
        "score",
        r"line 2: field eval_scores.ToolCallRisk is missing",
        1,
    ),
    "score of another position": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 2, _field("eval_id", 5)),
        "position",
        r"line 2: eval_id: expected 1, found 5",
        1,
    ),
    "truncated JSON": (
        lambda root: _edit(some_group(root), 6, lambda line: line[:50]),
        "json",
        r"_120000\.jsonl, line 6: not valid JSON, truncated",
        1,
    ),
    "field missing": (
        lambda root: _edit(some_group(root), 4, lambda line: line.replace('"output"', '"outcome"')),
        "field",
        r"line 4: field output is missing",
        1,
    ),
    "case out of range": (
        lambda root: _edit(some_group(root), 1, _field("case_idx", 9)),
        "field",
        r"line 1: field case_idx: expected 0 to 5, found 9",
        1,
    ),
    "malformed step": (
        lambda root: _edit(some_group(root), 1, _field("intermediate_steps", [["only a name"]])),
        "field",
        r"line 1: field intermediate_steps\[0\]: neither a call with its answer nor the end",
        1,
    ),
    "duplicated case": (
        _duplicate,
        "duplicate_case",
        r"_0202_120000\.jsonl, line 1: case 0 of \S+ is already in \S+_0101_120000\.jsonl",
        6,
    ),
    "configuration name": (
        _rename("dpo_Llama3.1-8B_kind_q32_s1"),
        "name",
        r"configuration name 'dpo_Llama3\.1-8B_kind_q32_s1' is not dpo_",
        12,
    ),
    "file name": (
        lambda root: some_group(root, "pool").with_name("notes.jsonl").write_text("{}\n{}\n", encoding="utf-8"),
        "name",
        r"notes\.jsonl: file name is not <model>_emu-",
        2,
    ),
    "judged by another": (
        _rename(configuration(("both",), "x", 1)),
        "judge",
        r"set match: judged by q32, but trained on pairs of x",
        12,
    ),
    "file of another model": (
        lambda root: some_group(root).parent.rename(some_group(root).parent.with_name("Qwen_Qwen9-1B")),
        "name",
        r"a file of dpo_Llama3\.1-8B_both_q32_s1 in the directory of Qwen_Qwen9-1B",
        12,
    ),
    "more evaluations than trajectories": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 6, lambda line: f"{line}\n{line}"),
        "line_count",
        r"line counts differ: .*120000\.jsonl has 6, .*safe\.jsonl has 7",
        6,
    ),
    "not UTF-8": (_bytes, "json", r"_120000\.jsonl, line 1: not valid JSON, truncated\? \('utf-8' codec can't", 1),
    "nested too deep": (
        lambda root: _edit(some_group(root), 2, lambda line: "[" * 200_000),
        "json",
        r"_120000\.jsonl, line 2: ",
        1,
    ),
    "no object": (
        lambda root: _edit(some_group(root), 2, lambda line: "[1, 2]"),
        "json",
        r"line 2: not a JSON object",
        1,
    ),
    "half a surrogate pair": (
        lambda root: _edit(some_group(root, "pool"), 1, lambda line: line.replace("coin", "\\ud83d")),
        "field",
        r"_120000\.jsonl, line 1: .*surrogates",
        1,
    ),
    "scores are no object": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 2, _field("eval_scores", [3])),
        "score",
        r"line 2: field eval_scores: expected an object, found \[3\]",
        1,
    ),
    "replicates are no objects": (
        lambda root: _edit(evaluation_of(some_group(root), "safe"), 2, _field("replicates", [3])),
        "score",
        r"line 2: field replicates: expected a list of objects, found \[3\]",
        1,
    ),
    "toolkits are no names": (
        lambda root: _edit(some_group(root), 2, _case(Toolkits=[5])),
        "field",
        r"line 2: field case\.Toolkits: expected a list of names, found \[5\]",
        1,
    ),
    "broken link": (_broken_link, "unreadable", r"_eval_agent_safe\.jsonl: cannot be read: No such file", 6),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_the_import_by_name(fault: str, settings: PublishedSettings, clone: Path) -> None:
    broken, _, message, _ = FAULTS[fault]
    broken(clone)
    with pytest.raises(PublishedError, match=message):
        import_clone(settings)
    assert not Path(settings.cache).exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_can_be_set_aside_and_is_counted(fault: str, settings: PublishedSettings, clone: Path) -> None:
    broken, kind, message, n_lost = FAULTS[fault]
    broken(clone)
    tables = import_clone(settings.model_copy(update={"on_error": "quarantine"}))
    quarantine = tables["quarantine"]
    assert set(quarantine["kind"]) == {kind}
    assert quarantine["n_trajectories"].sum() == n_lost
    added = {"duplicated case": 6, "file name": 2}.get(fault, 0)
    assert len(tables["episodes"]) == N_TRAJECTORIES + added - n_lost
    row = quarantine.iloc[0]
    where = row["file"] if pd.isna(row["line"]) else f"{row['file']}, line {row['line']}"
    assert re.search(message, f"{where}: {row['detail']}"), row.to_dict()


def test_what_lies_beside_the_layout_is_listed(settings: PublishedSettings, clone: Path) -> None:
    sets = clone / "results"
    shutil.copytree(sets / "match_eval_results" / configuration(("both",), "q32", 1), sets / "old" / "x")
    quarantine = import_clone(settings)["quarantine"]
    assert quarantine[["kind", "file", "n_trajectories"]].to_numpy().tolist() == [["not_read", "results/old", 12]]
    assert "ends with _eval_results" in quarantine["detail"][0]


def test_a_replicate_without_a_score_is_counted(settings: PublishedSettings) -> None:
    episodes = import_clone(settings)["episodes"]
    assert set(episodes.query("case_index == 0")["n_replicates_missing"]) == {1}
    assert set(episodes.query("case_index != 0")["n_replicates_missing"]) == {0}


def test_several_faults_are_all_listed(settings: PublishedSettings, clone: Path) -> None:
    FAULTS["truncated JSON"][0](clone)
    FAULTS["score too high"][0](clone)
    tables = import_clone(settings.model_copy(update={"on_error": "quarantine"}))
    assert sorted(tables["quarantine"]["kind"]) == ["json", "score"]
    with pytest.raises(PublishedError, match="and 1 more faults"):
        import_clone(settings)


@pytest.mark.parametrize("root", [None, "/no/such/folder"])
def test_a_missing_root_is_named(root: str | None, settings: PublishedSettings) -> None:
    with pytest.raises(PublishedError, match=r"published\.root"):
        import_clone(settings.model_copy(update={"root": root}))
