"""Errors meant for the person at the keyboard."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """One clear sentence about something the user can put right; the command line prints it and exits with status 2."""


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written, met inside the block, into a ``UserError``.

    TensorStore (under Orbax) reports the same as an exception of another type whose text ends with the
    operating system's error number.
    """
    try:
        yield
    except Exception as error:
        number = _os_error_number(error)
        if number is None:
            raise
        raise UserError(f"cannot write {Path(path)}: {os.strerror(number)}; {_remedy(number)}") from error


def _os_error_number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    match = re.search(r"os_error_code='(\d+)'", str(error))
    return int(match[1]) if match else None


def _remedy(number: int) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space, or choose a folder on another disk"
    return "choose a folder that can be written"
