"""A study over two simulated machines: equal bytes, side by side, through kills; refusals before it starts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fsspec.implementations.local import LocalFileSystem
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

ray = pytest.importorskip("ray")

from tests.exhausting import only_exhausted  # noqa: E402
from tests.projects import HANGS  # noqa: E402

from object_store import s3_server  # noqa: E402
from persistence_pipeline.runners import cluster as cluster_check  # noqa: E402
from persistence_pipeline.runners import ray_runner  # noqa: E402
from persistence_pipeline.runners.cluster import (  # noqa: E402
    ClusterError,
    check_resources,
    check_workers,
    connected,
)
from persistence_pipeline.runners.launches import check_launches  # noqa: E402
from persistence_pipeline.runners.outcome import Outcome, describe  # noqa: E402
from persistence_pipeline.runners.ray_runner import claims, schedule  # noqa: E402
from persistence_pipeline.runners.sending import SendingError, only, refuse_ephemeral  # noqa: E402
from persistence_pipeline.runners.settings import RaySettings  # noqa: E402
from persistence_pipeline.runners.worker import Setting  # noqa: E402
from persistence_pipeline.training.launch import KIND, LAUNCHER, PROCESSES  # noqa: E402
from persistence_pipeline.training.settings import StageSettings  # noqa: E402

RUNNER = "--runner=persistence_pipeline.runners.RayRunner"
SAFETY, HELPFULNESS, BOTH = (f"llama_b0p1_s0_{o}" for o in ("safety", "helpfulness", "both"))
STORE = 100 * 1024 * 1024
FILE = "persistence_pipeline.datasets.JSONDataset"
LONG = Pipeline([node(len, "text", "length", name="measure", tags="big")])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines of one CPU and one pretended GPU each, on one disk."""
    from ray.cluster_utils import Cluster

    simulated = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "num_gpus": 1,
            "object_store_memory": STORE,
            "include_dashboard": False,
            # A machine that is merely busy is not lost; one that is gone refuses the connection at once.
            "_system_config": {"health_check_timeout_ms": 300_000},
        },
    )
    simulated.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE)
    simulated.wait_for_nodes(HANGS)
    yield simulated
    simulated.shutdown()


@pytest.fixture
def project(smoke_run: Path, tmp_path: Path) -> Path:
    """A finished smoke study without what training left behind."""
    target = tmp_path / "project"
    shutil.copytree(smoke_run, target, symlinks=True)
    for part in (SAFETY, HELPFULNESS, BOTH):
        for folder in (target / "data/smoke/06_models").glob(f"{part}*"):
            shutil.rmtree(folder)
    shutil.rmtree(target / "data/smoke/08_reporting/training")
    (target / "data/smoke/08_reporting/training").mkdir()
    (target / "conf/smoke/parameters_ray.yml").write_text(f"ray: {{connect_timeout: {HANGS}.0}}\n")
    return target


def start(project: Path, address: str | None, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", RUNNER, *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {"RAY_ADDRESS": address} if address else {}
    return subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def remove(cluster: Any, machine: Any) -> None:
    """Take a machine away, and wait until the cluster itself has noticed."""
    cluster.remove_node(machine)
    cluster.wait_for_nodes(HANGS)


def run(project: Path, address: str | None, *arguments: str) -> tuple[int, str]:
    process = start(project, address, *arguments)
    output, _ = process.communicate(timeout=HANGS)
    return process.returncode, output


def trained(project: Path) -> dict[str, str]:
    """Hashes of the cells' checkpoints and training tables."""
    data = project / "data/smoke"
    files = [*data.glob("06_models/llama_b*/*"), *data.glob("08_reporting/training/llama_b*/*")]
    return {str(f.relative_to(data)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def placed(project: Path) -> dict[str, dict[str, Any]]:
    return json.loads((project / "data/smoke/08_reporting/placement.json").read_text())


def wait_for(found: Callable[[], Any], seconds: float = HANGS) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.2)
    raise AssertionError("nothing came")


def training_workers(project: Path) -> list[psutil.Process]:
    """Workers whose stage has written trainer state, so that there is something to continue from."""
    started = list(project.glob("data/smoke/.scratch/*/trainer/checkpoint-*"))
    workers = []
    for process in psutil.process_iter():
        try:
            if started and process.name().startswith("ray::") and ".train_cell" in " ".join(process.cmdline()):
                workers.append(process)
        except psutil.Error:
            continue
    return workers


def test_cells_run_side_by_side_with_the_bytes_of_a_sequential_run(
    cluster: Any, project: Path, smoke_run: Path
) -> None:
    cells = (SAFETY, HELPFULNESS, f"{SAFETY}_then_helpfulness")
    names = [f"{cell}.train_cell" for cell in cells]
    code, output = run(project, cluster.address, f"--nodes={','.join(names)}")
    assert code == 0, output[-3000:]
    whole = trained(smoke_run).items()
    assert trained(project) == {path: digest for path, digest in whole if {*path.split("/")} & {*cells}}
    where = placed(project)
    assert sorted(where) == sorted(names) and len({w["machine"] for w in where.values()}) == 2
    times = json.loads((project / "data/smoke/08_reporting/times.json").read_text())
    assert times == {name: w["seconds"] for name, w in where.items()}
    first, second = (where[name] for name in names[:2])
    assert first["machine"] != second["machine"]
    assert max(first["started"], second["started"]) < min(w["started"] + w["seconds"] for w in (first, second))
    assert all(f"{name}, " in " ".join(output.split()) for name in where), output


def test_a_killed_worker_and_a_lost_machine_leave_no_trace_in_the_outputs(
    cluster: Any, project: Path, smoke_run: Path
) -> None:
    lost = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes(HANGS)
    names = ",".join(f"{cell}.train_cell" for cell in (SAFETY, HELPFULNESS, BOTH))
    process = start(
        project,
        cluster.address,
        f"--nodes={names}",
        "--params=" + ",".join(f"training.{o}.save_every=2" for o in ("safety", "helpfulness", "both")),
    )
    victim = wait_for(lambda: training_workers(project))[0]
    victim.kill()
    cluster.remove_node(lost, allow_graceful=False)
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0, output[-3000:]
    assert victim.pid not in {w["pid"] for w in placed(project).values()}
    expected = {name: digest for name, digest in trained(smoke_run).items() if "_then_" not in name}
    assert trained(project) == expected


def test_a_failing_cell_stops_only_what_stands_on_it(cluster: Any, project: Path) -> None:
    (validation,) = project.rglob("validation/llama_s0.json")
    validation.write_text("nonsense\n")
    names = [f"{BOTH}.train_cell", f"{BOTH}.roll_out", f"{SAFETY}.score"]
    code, output = run(
        project, cluster.address, f"--nodes={','.join(names)}", "--params=report.browser_megabytes=7"
    )
    assert code != 0
    assert list(placed(project)) == [f"{SAFETY}.score"]
    said = output[output.index("error: ") :]
    assert f"{BOTH}.train_cell: " in said and "llama_s0.json" in said
    assert f"1 did not run because of that: {BOTH}.roll_out" in said
    resume = f"kedro run --env=smoke {RUNNER} --nodes={','.join(names)}"
    assert f"{resume} --params=report.browser_megabytes=7 --from-nodes={BOTH}.train_cell" in said
    assert "Traceback" not in output


def test_a_study_in_an_object_store(cluster: Any, project: Path, smoke_run: Path) -> None:
    """Machines that know nothing of the store get its address and keys with their task."""
    import fsspec

    names = [f"{SAFETY}.train_cell", f"{SAFETY}.roll_out"]
    with s3_server() as bucket:
        store = fsspec.filesystem("s3")
        store.put(f"{project}/data/smoke/", f"{bucket}/smoke/", recursive=True)
        store.rm(f"{bucket}/smoke/07_model_output/rollouts/{SAFETY}", recursive=True)
        (project / "conf/smoke/globals.yml").write_text(f"data: {bucket}/smoke\n")
        shutil.rmtree(project / "data")
        code, output = run(project, cluster.address, f"--nodes={','.join(names)}")
        assert code != 0 and "scratch: what a killed run continues from is kept in files" in output
        state = ",".join(
            f"{name}={project}/state" for name in ("scratch", "judging.journals", "emulation.journals")
        )
        code, output = run(project, cluster.address, f"--nodes={','.join(names)}", f"--params={state}")
        assert code == 0, output[-3000:]
        assert sorted(json.loads(store.cat_file(f"{bucket}/smoke/08_reporting/placement.json"))) == sorted(names)
        expected = smoke_run / "data/smoke"
        made = [f"06_models/{SAFETY}", f"07_model_output/rollouts/{SAFETY}", f"08_reporting/training/{SAFETY}"]
        files = [f for part in made for f in store.find(f"{bucket}/smoke/{part}")]
        assert len(files) > 8
        for file in files:
            assert store.cat_file(file) == (expected / file.partition("/smoke/")[2]).read_bytes(), file
    assert not (project / "data").exists()


def test_claims_that_no_machine_can_meet_are_refused(cluster: Any, project: Path) -> None:
    code, output = run(
        project, cluster.address, "--pipelines=training", "--params=ray.resources.training.num_gpus=2"
    )
    assert code != 0
    assert "nodes tagged 'training' ask for 1 CPU, 2 GPU, and no machine has that" in output
    assert not trained(project)


def test_a_package_that_a_machine_lacks_is_refused(cluster: Any, project: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nversion = m.version\n"
        "def lacking(name):\n    if name == 'trl': raise m.PackageNotFoundError(name)\n    return version(name)\n"
        "m.version = lacking\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    bare = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars={"PYTHONPATH": path})
    cluster.wait_for_nodes(HANGS)
    code, output = run(project, cluster.address, "--pipelines=training")
    remove(cluster, bare)
    assert code != 0 and "package trl is missing" in output and not trained(project)


def test_a_machine_that_leaves_while_it_is_asked_is_passed_over(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = LocalFileSystem()
    lost = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes(HANGS)
    with connected(RaySettings(address=cluster.address)):
        before = [machine for machine in ray.nodes() if machine["Alive"]]
        remove(cluster, lost)
        listed = iter([before])
        monkeypatch.setattr(cluster_check, "_machines", lambda: next(listed, []))
        check_workers(files, str(tmp_path), HANGS)
        assert len(before) == 3 and caplog.text.count("has left the cluster; the run goes on without it") == 1
        listed = iter([[machine for machine in before if machine["NodeID"] == lost.node_id]])
        with pytest.raises(ClusterError, match="has lost all of its machines"):
            check_workers(files, str(tmp_path), HANGS)
    assert not list(tmp_path.iterdir())


def test_the_last_machine_of_a_kind_is_lost_and_another_comes(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray_runner, "PATIENCE", 1)
    entries = {name: {"type": FILE, "filepath": f"{tmp_path}/{name}.json"} for name in ("text", "length")}
    catalog = DataCatalog.from_config(entries)
    catalog.save("text", "four")
    outcome = Outcome(left=set(LONG.nodes))
    settings = RaySettings.model_validate({"address": cluster.address, "resources": {"big": {"num_cpus": 3}}})
    setting = Setting("persistence_pipeline", str(tmp_path), None)
    lost = cluster.add_node(num_cpus=3, object_store_memory=STORE)
    cluster.wait_for_nodes(HANGS)
    with connected(settings):
        check_resources(claims(LONG, settings))
        remove(cluster, lost)
        waiting = threading.Thread(target=schedule, args=(LONG, catalog, settings, setting, outcome))
        waiting.start()
        wait_for(lambda: "waiting for one" in caplog.text)
        assert "nodes tagged 'big' ask for 3 CPU, and no machine has that" in caplog.text and outcome.left
        another = cluster.add_node(num_cpus=3, object_store_memory=STORE)
        waiting.join(HANGS)
        (place,) = outcome.done.values()
    remove(cluster, another)
    assert place["machine"] == another.node_id and catalog.load("length") == 4


def training_processes(project: Path) -> dict[str, dict[str, str]]:
    """Environments of the processes that train a stage of a project together, by rank."""
    found = {}
    for process in psutil.process_iter():
        try:
            if "persistence_pipeline.training.worker" in process.cmdline() and process.cwd() == str(project):
                environment = process.environ()
                launcher = psutil.Process(int(environment[LAUNCHER])).name()
                found[environment.get("RANK", "-")] = {**environment, "launcher": launcher}
        except (psutil.Error, ValueError):
            continue
    found.pop("-", None)  # torchrun itself
    return found


@only_exhausted
def test_one_cell_over_two_processes_of_a_task(cluster: Any, project: Path, tmp_path: Path) -> None:
    """A stage whose processes are fewer, or work together otherwise, than asked for would fail (``launch.py``)."""
    (project / "launch.yaml").write_text("distributed_type: MULTI_CPU\nnum_processes: 2\n")
    alone = Path(shutil.copytree(project, tmp_path / "alone", symlinks=True))
    wide = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    cluster.wait_for_nodes(HANGS)
    chosen = (f"--nodes={SAFETY}.train_cell", "--params=training.safety.launch=launch.yaml")
    there = start(project, cluster.address, chosen[0], f"{chosen[1]},ray.resources.training.num_cpus=2")
    here = [sys.executable, "-m", "kedro", "run", "--env=smoke", *chosen]
    local = subprocess.Popen(here, cwd=alone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = wait_for(lambda: len(ranks := training_processes(project)) == 2 and ranks)
    for process in (there, local):
        output, _ = process.communicate(timeout=HANGS)
        assert process.returncode == 0, output[-3000:]
    remove(cluster, wide)
    assert sorted(found) == ["0", "1"]
    for environment in found.values():
        assert environment["launcher"].startswith("ray::") and environment["WORLD_SIZE"] == "2"
        assert (environment[PROCESSES], environment[KIND]) == ("2", "MULTI_CPU")
    assert placed(project)[f"{SAFETY}.train_cell"]["machine"] == wide.node_id
    assert trained(project) == trained(alone) != {}


def test_without_a_cluster_nothing_starts(project: Path) -> None:
    code, output = run(project, None, "--pipelines=training")
    assert code != 0 and "error: no Ray cluster is named: set RAY_ADDRESS" in output
    code, output = run(project, "127.0.0.1:9", "--pipelines=training")
    assert code != 0 and "error: no Ray cluster answers at 127.0.0.1:9" in output


def test_datasets_in_memory_are_refused_by_name() -> None:
    pipeline = Pipeline([node(len, "text", "length", name="measure"), node(abs, "length", "size", name="take")])
    catalog = DataCatalog({"text": MemoryDataset("x")})
    with pytest.raises(SendingError, match="length, size; add them to"):
        refuse_ephemeral(pipeline, catalog)


def test_the_largest_claim_of_a_nodes_tags_counts() -> None:
    settings = RaySettings.model_validate(
        {"resources": {"training": {"num_gpus": 1}, "big": {"num_cpus": 4, "num_gpus": 0.5}}}
    )
    needs = settings.needs({"training", "big", "other"})
    assert (needs.num_cpus, needs.num_gpus) == (4, 1)
    assert settings.needs({"other"}).wanted() == {"CPU": 1}


def test_tags_that_meet_on_one_node_claim_together(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline([node(len, "a", "b", name="n", tags=["big", "training"])])
    settings = RaySettings.model_validate(
        {"resources": {"training": {"num_gpus": 1}, "big": {"num_cpus": 4}, "trainig": {"num_gpus": 1}}}
    )
    (asked,) = claims(pipeline, settings).items()
    assert asked[0] == "big, training" and asked[1].wanted() == {"CPU": 4, "GPU": 1}
    assert "no node of this run is tagged 'trainig'" in caplog.text
    with pytest.raises(ValueError, match="above 1 it must be a whole number"):
        RaySettings.model_validate({"resources": {"training": {"num_gpus": 1.5}}})


@pytest.mark.parametrize(
    ("launch", "claim", "expected"),
    [
        ("distributed_type: MULTI_GPU\nnum_processes: 4", {"num_gpus": 1}, "hold num_gpus 1: .*num_gpus to 4"),
        ("distributed_type: FSDP\nnum_processes: 2", {}, "hold num_gpus 0: set ray.resources.training.num_gpus"),
        ("distributed_type: MULTI_CPU\nnum_processes: 2", {"num_cpus": 3}, "hold num_cpus 3: .*num_cpus to 2"),
        ("distributed_type: MULTI_GPU\nnum_processes: 4", {"num_gpus": 4}, None),
        ("distributed_type: FSDP\nuse_cpu: true\nnum_processes: 2", {"num_cpus": 2}, None),
    ],
)
def test_a_stage_of_several_processes_must_hold_what_they_use(
    tmp_path: Path, launch: str, claim: dict[str, float], expected: str | None
) -> None:
    (tmp_path / "launch.yaml").write_text(launch)
    pipeline = Pipeline([node(len, "params:training.safety", "x", name="n", tags="training")])
    stage = StageSettings(learning_rate=1e-4, max_length=64, launch=str(tmp_path / "launch.yaml"))
    catalog = DataCatalog({"params:training.safety": MemoryDataset(stage)})
    settings = RaySettings.model_validate({"resources": {"training": claim}})
    if expected is None:
        return check_launches(pipeline, catalog, settings)
    with pytest.raises(ClusterError, match=rf"params:training.safety starts \d processes .*{expected}"):
        check_launches(pipeline, catalog, settings)
    return None


def test_a_task_is_sent_only_its_own_datasets() -> None:
    entries = {
        name: {
            "type": "pandas.ParquetDataset",
            "filepath": f"{name}.parquet",
            "validator": "persistence_pipeline.schemas.PairTable",
        }
        for name in "abc"
    }
    catalog = DataCatalog.from_config(entries)
    part = only(node(len, "a", "b", name="n"), catalog)
    assert sorted(part.keys()) == ["a", "b"] == sorted(part.validators)
    assert sorted(catalog.keys()) == ["a", "b", "c"] == sorted(catalog.validators)


def test_what_failed_and_what_is_left_is_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (node(len, f"i{n}", f"i{n + 1}", name=name) for n, name in enumerate("abc"))
    monkeypatch.setattr(sys, "argv", ["/bin/kedro", "run", "--env=my own"])
    told = describe(Outcome(done={first: {}}, failed={second: "no\nmore"}, left={third}))
    assert "1 of 3 nodes failed, 1 are done:\n  b: no\n    more\n" in told and "because of that: c" in told
    assert told.endswith("then: kedro run '--env=my own' --from-nodes=b")
