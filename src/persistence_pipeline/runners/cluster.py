"""The Ray cluster before a run: how it is reached, and what every machine must have for the run to succeed.

Everything that can be known beforehand is refused here, before a node of the pipeline starts.
"""

from __future__ import annotations

import hashlib
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

logger = logging.getLogger(__name__)

PACKAGES = ("persistence-pipeline", "kedro", "torch", "transformers", "trl", "peft", "numpy")
"""Packages whose versions must agree: they decide the bytes of the outputs."""
CODE = (".py", ".jinja", ".js", ".css")
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


KEY_SUFFIXES, KEY_PREFIXES = ("_API_KEY", "_TOKEN"), ("AWS_",)
"""Variables with keys of servers and stores; they travel with a task and never in what Ray logs of a run."""


class ClusterError(RuntimeError):
    """The cluster cannot run this study; the message says what is missing where."""


def keys() -> dict[str, str]:
    """Keys of servers and stores that the driver has in its environment."""
    return {k: v for k, v in os.environ.items() if k.endswith(KEY_SUFFIXES) or k.startswith(KEY_PREFIXES)}


@contextmanager
def connected(settings: RaySettings) -> Iterator[None]:
    """Connect to the cluster for the length of the block.

    Raises:
        ClusterError: Ray is not installed, no address is known, or nothing answers there.
    """
    try:
        import ray
    except ImportError:
        raise ClusterError("Ray is not installed: pip install 'persistence-pipeline[ray]'") from None

    address = settings.address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise ClusterError(
            "no Ray cluster is named: set RAY_ADDRESS or the parameter ray.address (host:port of the head, "
            "auto for one that runs on this machine, local to start one here)"
        )
    _knock(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
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
        raise ClusterError(f"no Ray cluster answers at {address}: {' '.join(str(error).split())}") from None
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
        raise ClusterError(f"no Ray cluster answers at {address}: {error}") from None


def check_resources(needs: Mapping[str, Resources]) -> None:
    """Refuse claims that no single machine of the cluster can meet.

    Args:
        needs: By tags.

    Raises:
        ClusterError: naming the tag, what it asks for, and what there is.
    """
    machines = _machines()
    for tag, claim in sorted(needs.items()):
        wanted = claim.wanted()
        if not any(all(m["Resources"].get(k, 0) >= v for k, v in wanted.items()) for m in machines):
            there = "; ".join(f"{m['NodeManagerHostname']}: {_told(m['Resources'])}" for m in machines)
            raise ClusterError(f"nodes tagged {tag!r} ask for {_told(wanted)}, and no machine has that ({there})")


def _machines() -> list[dict[str, Any]]:
    import ray

    machines: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [machine for machine in machines if machine["Alive"]]


def _told(resources: Mapping[str, float]) -> str:
    told = [f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if resources.get(name)]
    memory = resources.get("memory")
    return ", ".join([*told, *([f"{memory / 1e9:.1f} GB of memory"] if memory else [])]) or "nothing"


def check_workers(files: Any, folder: str, timeout: float) -> None:
    """Ask every machine for its packages and whether it sees the study's data; one that has left is passed over.

    Args:
        files: File system of the study's data (fsspec).
        folder: Their folder in it.
        timeout: Seconds.

    Raises:
        ClusterError: naming the machine, and the package with both versions or the folder.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    describe: Any = ray.remote(num_cpus=0, max_retries=1)(describe_worker)
    with _probe(files, folder) as probe:
        asked = {}
        for machine in _machines():
            here = NodeAffinitySchedulingStrategy(node_id=machine["NodeID"], soft=False)
            answer = describe.options(scheduling_strategy=here).remote(PACKAGES, files, probe, keys())
            asked[answer] = machine
        found = [
            (machine["NodeManagerHostname"], _answer(ask, machine, timeout)) for ask, machine in asked.items()
        ]
    there = [(host, answer) for host, answer in found if answer is not None]
    if not there:
        raise ClusterError("the cluster has lost all of its machines")
    for host, answer in there:
        _compare(host, answer, files.unstrip_protocol(folder))


@contextmanager
def _probe(files: Any, folder: str) -> Iterator[str]:
    """A file in the folder, for the length of the block."""
    probe = f"{folder}/.probe-{uuid.uuid4().hex}"
    try:
        files.pipe_file(probe, b"here")
    except OSError as error:
        raise ClusterError(f"{files.unstrip_protocol(folder)} cannot be written to: {error}") from None
    try:
        yield probe
    finally:
        files.rm_file(probe)


def _answer(answer: Any, machine: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
    """What a machine answers; None, with a warning, where it has left the cluster."""
    import ray

    host = machine["NodeManagerHostname"]
    try:
        return dict(ray.get(answer, timeout=timeout))
    except ray.exceptions.RayError as error:
        if _has_left(machine["NodeID"], error):
            logger.warning("machine %s has left the cluster; the run goes on without it", host)
            return None
        if isinstance(error, ray.exceptions.GetTimeoutError):
            raise ClusterError(f"machine {host} did not answer within {timeout:g} s") from None
        detail = str(error).strip().splitlines()[-1]
        raise ClusterError(f"machine {host} cannot run this project's code: {detail}") from None


def _has_left(machine: str, error: Exception) -> bool:
    """Whether a machine did not answer because it is no longer there."""
    from ray.exceptions import NodeDiedError, RayTaskError, TaskUnschedulableError

    if isinstance(error, RayTaskError):  # it was there, and the code failed
        return False
    gone = isinstance(error, NodeDiedError | TaskUnschedulableError)  # the claim is nothing, so only that remains
    return gone or machine not in {there["NodeID"] for there in _machines()}


def _compare(host: str, found: Mapping[str, Any], folder: str) -> None:
    for name, ours in _versions(PACKAGES).items():
        theirs = found["versions"].get(name)
        if theirs is None:
            raise ClusterError(f"machine {host}: package {name} is missing (this machine has {ours})")
        if theirs != ours:
            raise ClusterError(f"machine {host}: {name} is {theirs}, on this machine {ours}; they must agree")
    if not found["sees"]:
        raise ClusterError(
            f"machine {host} does not see {folder}: the study's data must lie on storage that all machines "
            "share under one path, or at a URL such as s3://bucket/study (data in globals.yml)"
        )


def describe_worker(packages: Sequence[str], files: Any, probe: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """On a worker: versions of some packages, and whether a file is seen from here."""
    for name, value in keys.items():
        os.environ.setdefault(name, value)
    return {"versions": _versions(packages), "sees": bool(files.exists(probe))}


def _versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Of Python and of packages, None where missing; this project's with a digest of its code."""
    versions: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    versions[PACKAGES[0]] = f"{versions[PACKAGES[0]]} with code {_code()}"
    return versions


def _code() -> str:
    """A short digest of this package's modules and templates."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in CODE and p.is_file()):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]
