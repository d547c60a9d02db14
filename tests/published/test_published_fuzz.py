"""Whatever is done to a line: nothing crashes, and every trajectory is either read or counted as lost."""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_clone import JUDGES, configuration, evaluation_of, some_group, write_model
from tests.fuzzing import EXAMPLES, examples

from persistence_pipeline.published.importing import import_clone
from persistence_pipeline.published.settings import PublishedSettings

N_CASES = 12
METRICS = ("safe", "help_ignore_safety")
Change = Callable[[bytes], bytes]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10),
    st.sampled_from([10**30, -1, 2.5, float("nan"), float("inf"), "", "3", "\ud800", "\x00", "2026-02-30"]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner))
fates = st.sampled_from(["replace", "delete", "double", "truncate", "flip", "insert", "deepen", "nothing"])


def changed(line: bytes, fate: str, value: Any, draw: random.Random) -> bytes:
    """A line to which something has been done."""
    place = draw.randrange(len(line))
    if fate == "truncate":
        return line[:place]
    if fate == "flip":
        return line[:place] + bytes([draw.randrange(256)]) + line[place + 1 :]
    if fate == "insert":
        return line[:place] + draw.randbytes(3) + line[place:]
    if fate == "nothing":
        return line
    parsed = json.loads(line)
    holder, key = draw.choice(list(_places(parsed)))
    if fate == "deepen":
        deep: Any = value
        for _ in range(draw.choice([10, 900])):
            deep = [deep]
        holder[key] = deep
    elif fate == "replace":
        holder[key] = value
    elif fate == "delete":
        del holder[key]
    else:  # a key twice
        return line[:-1] + b", " + json.dumps({str(key): value})[1:].encode()
    return json.dumps(parsed).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
            yield value, key
            yield from _places(inner)


def n_lines(path: Path) -> int:
    return sum(1 for line in path.read_bytes().split(b"\n") if line.strip())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source model of the pool and a trained one of the results, in two index ranges each."""
    folder = tmp_path_factory.mktemp("fuzz") / "clone"
    scores = [(1, [2, 3])] * N_CASES
    write_model(folder / "data/raw_data_by_eval/q32/gpt-a", "gpt-a", JUDGES["q32"], scores)
    trained = configuration(("both",), "q32", 1)
    write_model(folder / "results/match_eval_results" / trained, trained, JUDGES["q32"], scores)
    return folder


@pytest.fixture(scope="module")
def real_lines(published_data: Path) -> list[bytes]:
    """Six published trajectories of cases 0 to 5."""
    with tarfile.open(published_data / "published-results-phi4-match.tar.xz") as archive:
        for member in archive:
            if "_r0-15_" in member.name and "_eval_agent_" not in member.name:
                file = archive.extractfile(member)
                assert file is not None
                lines = file.read().splitlines()
                if [json.loads(line)["case_idx"] for line in lines[:6]] == list(range(6)):
                    return lines[:6]
    raise AssertionError("no file with the cases 0 to 5")


def made_lines(root: Path, part: str) -> dict[str, list[bytes]]:
    """The lines of a group, of cases 0 to 5, from that of the cases 6 to 11, which stays as it is."""
    path = some_group(root, part)
    other = path.with_name(path.name.replace("_r0-6_", "_r6-12_"))
    made = [json.loads(line) for line in other.read_bytes().splitlines()]
    lines = {"trajectory": [json.dumps({**line, "case_idx": i}).encode() for i, line in enumerate(made)]}
    return lines | {metric: evaluation_of(other, metric).read_bytes().splitlines() for metric in METRICS}


def conserve(root: Path, part: str, lines: dict[str, list[bytes]], fates: dict[tuple[str, int], Change]) -> None:
    """Write a group of files with some lines changed, import the root, and check that nothing is lost unseen."""
    path = some_group(root, part)
    paths = {"trajectory": path} | {metric: evaluation_of(path, metric) for metric in METRICS}
    kept = {target: target.read_bytes() for target in paths.values()}
    try:
        for name, target in paths.items():
            parts = [fates.get((name, number), bytes)(line) for number, line in enumerate(lines[name])]
            target.write_bytes(b"\n".join(parts) + b"\n")
        _check(root, len(fates), paths)
    finally:
        for target, content in kept.items():
            target.write_bytes(content)


def _check(root: Path, n_changed: int, paths: dict[str, Path]) -> None:
    options = {"on_error": "quarantine", "n_cases": N_CASES, "cache": str(root.parent / "cache")}
    tables = import_clone(PublishedSettings(root=str(root), **options))
    episodes, lost = tables["episodes"], int(tables["quarantine"]["n_trajectories"].sum())
    assert len(episodes) + lost == n_lines(paths["trajectory"]) + 3 * N_CASES // 2
    assert len(tables["conversations"]) == len(episodes)
    assert episodes[["safety", "helpfulness"]].notna().all(axis=None)
    if all(n_lines(target) == N_CASES // 2 for target in paths.values()):
        assert lost <= n_changed, tables["quarantine"].to_dict("records")


def drawn_fates(data: st.DataObject) -> dict[tuple[str, int], Change]:
    """What happens to one to three lines."""
    fated = {}
    for _ in range(data.draw(st.integers(1, 3))):
        key = (data.draw(st.sampled_from(["trajectory", *METRICS])), data.draw(st.integers(0, 5)))
        fate, value, seed = data.draw(fates), data.draw(values), data.draw(st.integers(0, 10**6))
        fated[key] = lambda line, f=fate, v=value, s=seed: changed(line, f, v, random.Random(s))
    return fated


@examples
@given(part=st.sampled_from(["pool", "match"]), data=st.data())
def test_no_trajectory_is_lost_unseen(root: Path, part: str, data: st.DataObject) -> None:
    conserve(root, part, made_lines(root, part), drawn_fates(data))


@settings(examples, max_examples=EXAMPLES // 2)
@given(part=st.sampled_from(["pool", "match"]), data=st.data())
def test_no_published_trajectory_is_lost_unseen(
    root: Path, part: str, real_lines: list[bytes], data: st.DataObject
) -> None:
    conserve(root, part, {**made_lines(root, part), "trajectory": real_lines}, drawn_fates(data))


def test_no_depth_of_nesting_crashes_the_import(root: Path) -> None:
    lines = made_lines(root, "match")
    for depth in range(850, 1010, 3):
        nested = "[" * depth + "]" * depth

        def deepen(line: bytes, nested: str = nested) -> bytes:
            return line.replace(b'"summary", "log"', f'"summary", {nested}'.encode())

        conserve(root, "match", lines, {("trajectory", 2): deepen})
