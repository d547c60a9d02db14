"""The Ray cluster before a run: how it is reached, and what every machine must have for the run to succeed.

Everything that can be known beforehand is refused here, before a node of the pipeline starts.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from persistence_pipeline.runners.settings import RaySettings, Resources

PACKAGES = ("persistence-pipeline", "kedro", "torch", "transformers", "trl", "peft", "numpy")
"""Packages whose versions must agree: they decide the bytes of the outputs."""
OBJECT_STORE_BYTES = 200 * 1024 * 1024
"""Of a cluster started here: only catalogs and messages travel through it, data go through the catalog."""
KNOCK_TIMEOUT = 10
"""Seconds for the head of the cluster to accept a connection."""
PASSED_ON = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TOKENIZERS_PARALLELISM",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_DATASETS_DISABLE_PROGRESS_BARS",
    "TRANSFORMERS_VERBOSITY",
    "TRL_EXPERIMENTAL_SILENCE",
)
"""Variables of the driver that hold for workers too; threads among them decide the bytes of the outputs."""


class ClusterFault(RuntimeError):
    """The cluster cannot run this study; the message says what is missing where."""


@contextmanager
def connected(settings: RaySettings) -> Iterator[None]:
    """Connect to the cluster for the length of the block.

    Raises:
        ClusterFault: Ray is not installed, no address is known, or nothing answers there.
    """
    try:
        import ray
    except ImportError:
        raise ClusterFault("Ray is not installed: pip install 'persistence-pipeline[ray]'") from None

    address = settings.address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise ClusterFault(
            "no Ray cluster is named: set RAY_ADDRESS or the parameter ray.address (host:port of the head, "
            "auto for one that runs on this machine, local to start one here)"
        )
    _knock(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": variables},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(own if address == "local" else {}),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterFault(f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse an address where nothing listens at once; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_TIMEOUT).close()
    except OSError as error:
        raise ClusterFault(f"no Ray cluster answers at {address}: {error}") from None


def check_resources(needs: Mapping[str, Resources]) -> None:
    """Refuse claims that no single machine of the cluster can meet.

    Args:
        needs: By tag.

    Raises:
        ClusterFault: naming the tag, what it asks for, and what there is.
    """
    machines = _machines()
    for tag, claim in sorted(needs.items()):
        wanted = claim.wanted()
        if not any(all(m["Resources"].get(k, 0) >= v for k, v in wanted.items()) for m in machines):
            there = "; ".join(f"{m['NodeManagerHostname']}: {_told(m['Resources'])}" for m in machines)
            raise ClusterFault(f"nodes tagged {tag!r} ask for {_told(wanted)}, and no machine has that ({there})")


def _machines() -> list[dict[str, Any]]:
    import ray

    machines: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [machine for machine in machines if machine["Alive"]]


def _told(resources: Mapping[str, float]) -> str:
    kinds = [name for name in ("CPU", "GPU", "memory") if resources.get(name)]
    return ", ".join(f"{resources[name]:g} {name}" for name in kinds) or "nothing"


def check_workers(folder: Path | None, timeout: float) -> None:
    """Ask every machine for its packages and whether it sees the study's data.

    Args:
        folder: Folder of the study's data that all machines must share; None where it is not a local path.
        timeout: Seconds.

    Raises:
        ClusterFault: naming the machine, and the package with both versions or the folder.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = _probe_file(folder)
    describe: Any = ray.remote(num_cpus=0, max_retries=0)(describe_worker)
    try:
        asked = {}
        for machine in _machines():
            here = NodeAffinitySchedulingStrategy(node_id=machine["NodeID"], soft=False)
            answer = describe.options(scheduling_strategy=here).remote(PACKAGES, probe and str(probe))
            asked[answer] = machine["NodeManagerHostname"]
        for answer, host in asked.items():
            _compare(host, _answer(answer, host, timeout), probe)
    finally:
        if probe:
            probe.unlink(missing_ok=True)


def _answer(answer: Any, host: str, timeout: float) -> dict[str, Any]:
    import ray

    try:
        return dict(ray.get(answer, timeout=timeout))
    except ray.exceptions.GetTimeoutError:
        raise ClusterFault(f"machine {host} did not answer within {timeout:g} s") from None
    except ray.exceptions.RayError as error:
        detail = str(error).strip().splitlines()[-1]
        raise ClusterFault(f"machine {host} cannot run this project's code: {detail}") from None


def _compare(host: str, found: Mapping[str, Any], probe: Path | None) -> None:
    expected = describe_worker(PACKAGES, None)["versions"]
    for name, ours in expected.items():
        theirs = found["versions"].get(name)
        if theirs is None:
            raise ClusterFault(f"machine {host}: package {name} is missing (this machine has {ours})")
        if theirs != ours:
            raise ClusterFault(f"machine {host}: {name} is {theirs}, on this machine {ours}; they must agree")
    if probe and not found["sees"]:
        raise ClusterFault(
            f"machine {host} does not see {probe.parent}: the study's data must lie on storage that all machines "
            "share under one path, or at a URL such as s3://bucket/study (parameter data of globals.yml)"
        )


def _probe_file(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    return probe


def describe_worker(packages: Sequence[str], probe: str | None) -> dict[str, Any]:
    """Versions of some packages (None where missing) and of Python, and whether a file is seen from here."""
    versions: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"versions": versions, "sees": probe is None or Path(probe).exists()}
