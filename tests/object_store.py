"""A real S3 server on loopback, for the length of a block."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def s3_server() -> Iterator[str]:
    """Yields the URL of an empty bucket; child processes reach it too, by the environment.

    Servers of one process share their buckets, so each gets a name of its own.
    """
    import fsspec
    from moto.server import ThreadedMotoServer

    bucket = f"studies-{uuid.uuid4().hex[:8]}"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        _forget_servers()
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
        yield f"s3://{bucket}"
        _forget_servers()
    server.stop()


def _forget_servers() -> None:
    """Let no file system that fsspec keeps go on speaking to a server that has stopped."""
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
