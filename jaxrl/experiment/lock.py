"""One folder, one writer: a lock that the operating system holds for a process, and lets go of when that ends.

So a process that was killed holds nothing, whoever has its number by now. Who only reads a folder needs no lock. On
file systems of several hosts, the lock holds as far as they pass ``flock`` on, as NFS does.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxrl.experiment.console import say
from jaxrl.experiment.errors import UserError, writing

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

FILE = ".lock"

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_descriptors: set[int] = set()


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Have a folder that exists to oneself while the block lasts.

    Raises:
        UserError: if somebody else has it, with his process, host and since when; if there is a symbolic link in it; or
            if it cannot be written.
    """
    if fcntl is None:
        yield
        return
    path = Path(directory) / FILE
    with writing(directory):
        _require_no_links(path.parent)
        descriptor = _locked(path)
    _descriptors.add(descriptor)
    try:
        with writing(directory):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_myself()).encode(), 0)
        yield
    finally:
        _descriptors.discard(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()  # while it is ours
        os.close(descriptor)


def require_free(directory: Path) -> None:
    """Raise ``UserError`` if somebody works in a folder."""
    if (Path(directory) / FILE).exists():
        with held(directory):
            pass


def _require_no_links(directory: Path) -> None:
    """Raise ``UserError`` if a file that is written in a folder may be one that lies elsewhere."""
    for path in directory.iterdir():
        if path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link, through which nothing is written: put a copy in its place"
            )


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = _in_use(path.parent, _record(descriptor))
            os.close(descriptor)
            raise UserError(message) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                os.close(descriptor)
                raise
            say(f"{path.parent} cannot be locked ({error.strerror}): let no other process write there")
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                _warn_of_other_hosts(path.parent, _record(descriptor))
                return descriptor
        # Who had it has removed the file meanwhile.
        os.close(descriptor)


def _myself() -> dict[str, Any]:
    now = datetime.datetime.now().astimezone()
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat(" ", "seconds")}


def _record(descriptor: int) -> dict[str, Any]:
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _in_use(directory: Path, record: dict[str, Any]) -> str:
    who = "another process"
    if record:
        who = f"process {record.get('pid')} on {record.get('host')}"
    since = f" since {record['since']}" if "since" in record else ""
    return f"{directory} is in use: {who} has worked there{since}; wait for it, stop it, or choose another folder"


def _warn_of_other_hosts(directory: Path, record: dict[str, Any]) -> None:
    """Warn where a lock of another host would not be seen, and its process did not say that it had ended."""
    if record.get("host") not in (None, socket.gethostname()):
        say(
            f"process {record.get('pid')} on {record['host']} worked in {directory} and did not end in good order: "
            "if it is still there, stop one of the two"
        )


def _let_go_in_child() -> None:
    """A forked process would hold the lock on for its parent."""
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


if fcntl is not None:
    os.register_at_fork(after_in_child=_let_go_in_child)
