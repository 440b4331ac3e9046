"""Words for the person at the keyboard, whose terminal may be closed: a run goes on without them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


def say(message: str) -> None:
    """Tell the person at the keyboard something that is neither an error nor the result."""
    emit(f"jaxrl: {message}", sys.stderr)


def emit(text: str, stream: Any) -> None:
    """Print a line, if the stream can still be written to."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


class ForgivingStream:
    """A text stream whose first failure is remembered, not raised; what comes later is dropped.

    Args:
        stream: a stream of this process, or None where its descriptor was closed before Python started.
        on_failure: called with the error.
    """

    def __init__(self, stream: Any, on_failure: Callable[[OSError], None] = lambda error: None):
        self.error: OSError | None = None
        self._on_failure = on_failure
        if stream is None:
            self._stream, self.error = open(os.devnull, "w"), OSError(errno.EBADF, "it is closed")  # noqa: SIM115
        else:
            self._stream = stream
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.reconfigure(errors="replace")  # a terminal that knows no "±"

    def write(self, text: str) -> int:
        with self._remembering():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._remembering():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        if self.error is not None:
            # The descriptor leads nowhere by now.
            with contextlib.suppress(OSError, ValueError):
                yield
            return
        try:
            yield
        except OSError as error:
            self.error = error
            # What is still in buffers, Python writes at its end: let that succeed.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._on_failure(error)


@contextlib.contextmanager
def forgiving_streams(lasting: bool) -> Iterator[Callable[[int], int]]:
    """Let this process outlive its standard output and standard error.

    Args:
        lasting: True if the work is worth finishing without a console, as training is. Otherwise the output is the
            work: a reader that has seen enough, such as ``head``, is no failure, and a full disk is.

    Yields:
        A function from the exit status of the work to that of the process.
    """
    # A descriptor that is closed would be the next file's, and words for the console would be written into it.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)

    def failed(error: OSError) -> None:
        if lasting:
            say(f"standard output cannot be written ({error.strerror}): going on without it")

    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = output, _ = ForgivingStream(sys.stdout, failed), ForgivingStream(sys.stderr)
    if output.error is not None:
        failed(output.error)

    def status_of_process(status: int) -> int:
        output.flush()
        error = output.error
        if error is None or lasting or status != 0 or error.errno == errno.EPIPE:
            return status
        emit(f"jaxrl: error: cannot write to standard output: {error.strerror}", sys.stderr)
        return 2

    try:
        yield status_of_process
    finally:
        sys.stdout, sys.stderr = before
