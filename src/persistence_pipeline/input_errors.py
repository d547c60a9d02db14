"""Errors about what a user gave, as one line; all others are faults of the program and keep their traceback."""

from __future__ import annotations

import errno
import os

from persistence_pipeline.suggestions import explain

DISK_SIGNS = (
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)),
    "PytorchStreamWriter failed",
    "unexpected pos",  # what torch.save says where it could not write on
)


def in_words(error: Exception) -> str | None:
    """One line for an error that this project or a library it validates with raises about input; else None."""
    error = explain(error) or error
    if _ours(error):
        return str(error)
    if any(sign in str(error) for sign in DISK_SIGNS):  # in whatever exception a library hands it on
        return f"the disk is full or may not be written to: {error}"
    from kedro.io import DatasetError
    from pandera.errors import SchemaError, SchemaErrors
    from pydantic import ValidationError

    return str(error) if isinstance(error, DatasetError | SchemaError | SchemaErrors | ValidationError) else None


def _ours(error: Exception) -> bool:
    return type(error).__module__.startswith(f"{__package__}.")
