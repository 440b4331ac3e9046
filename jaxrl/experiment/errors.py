"""Errors meant for the person at the keyboard."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

TRACEBACK = "error.txt"
"""In a run's folder: where the error came from that ended it."""


class UserError(Exception):
    """One clear sentence about something the user can put right; the command line prints it and exits with status 2."""


class EnvironmentBroke(UserError):
    """An environment raised, which is other people's code; ``__cause__`` is its ``EnvironmentFailed``."""


@contextlib.contextmanager
def environments_may_raise() -> Iterator[None]:
    """Turn what an environment raises inside the block into one sentence."""
    from jaxrl.envs.errors import EnvironmentFailed

    try:
        yield
    except EnvironmentFailed as error:
        raise EnvironmentBroke(f"{one_line(error)} (--verbose shows where)") from error


@contextlib.contextmanager
def as_user_error() -> Iterator[None]:
    """Let what builders raise about their arguments, or about a missing package, end in one sentence."""
    try:
        yield
    except (ValueError, TypeError, ImportError, MemoryError, OSError) as error:
        raise UserError(" ".join(str(error).split())) from error


def one_line(error: BaseException, longest: int = 500) -> str:
    """The text of an error as one line, cut off if it is long."""
    text = " ".join(str(error).split())
    return text if len(text) <= longest else f"{text[:longest]} ..."


def write_traceback(directory: Path, error: BaseException) -> Path | None:
    """Write an error's traceback to ``error.txt``; returns the file, or None if it cannot be written."""
    path = directory / TRACEBACK
    with contextlib.suppress(OSError):
        path.write_text("".join(traceback.format_exception(error)))
        return path
    return None


def unused(path: Path) -> Path:
    """The path, or the first of ``PATH_2``, ``PATH_3``, ... that does not exist."""
    return next(p for n in itertools.count(1) if not (p := path if n == 1 else Path(f"{path}_{n}")).exists())


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
