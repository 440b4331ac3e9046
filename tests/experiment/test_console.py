import errno
import io
import os
import signal
import subprocess
import sys

import pytest

from jaxrl.experiment import cli
from jaxrl.experiment.console import ForgivingStream, emit, forgiving_streams, say
from jaxrl.experiment.loggers import ConsoleLogger

REPORT = [{"steps": 64, "seed": 0, "eval_return": 1.0}]


class Broken(io.StringIO):
    """A stream whose other end fails."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


def test_words_for_a_console_that_is_gone_are_dropped(monkeypatch):
    for number in (errno.EPIPE, errno.ENOSPC, errno.EIO):
        monkeypatch.setattr(sys, "stdout", Broken(number))
        monkeypatch.setattr(sys, "stderr", Broken(number))
        ConsoleLogger().write(REPORT)
        say("hello")
        emit("hello", None)


@pytest.mark.parametrize(("lasting", "status", "words"), [(True, 0, "going on without it"), (False, 0, "")])
def test_a_reader_that_has_seen_enough_is_no_failure(lasting, status, words, monkeypatch, capfd):
    read, write = os.pipe()
    os.close(read)
    broken = open(write, "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", broken)
    with forgiving_streams(lasting) as status_of_process:
        print("one", flush=True)
        print("two")
        assert status_of_process(0) == status
        assert status_of_process(1) == 1
    broken.close()  # as Python does at its end: without an error
    monkeypatch.undo()
    assert words in capfd.readouterr().err


def test_an_output_that_cannot_be_written_is_one_only_where_output_is_the_work(monkeypatch, capfd):
    for lasting, expected in ((True, 0), (False, 2)):
        with open("/dev/full", "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            with forgiving_streams(lasting) as status_of_process:
                print("words")
                assert status_of_process(0) == expected
            monkeypatch.undo()
        assert capfd.readouterr().err.count("No space left on device") == 1


def test_no_output_at_all(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", None)
    with forgiving_streams(lasting=False) as status_of_process:
        print("words")
        assert status_of_process(0) == 2
    assert capfd.readouterr().err == "jaxrl: error: cannot write to standard output: it is closed\n"


def test_a_stream_that_knows_few_letters():
    raw = io.BytesIO()
    stream = ForgivingStream(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("15 ± 7")
    stream.flush()
    assert raw.getvalue() == b"15 ? 7"


def test_a_broken_pipe_of_other_code_is_not_taken_for_the_console(monkeypatch, capsys):
    def broken(*_):
        raise BrokenPipeError(errno.EPIPE, "mine")

    monkeypatch.setattr(cli, "_list", broken)
    assert cli.main(["list"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "BrokenPipeError: [Errno 32] mine" in lines[0] and "--verbose" in lines[0]
    assert cli.main(["list", "--verbose"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_before_anything_was_done_says_so(monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_list", stopped)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "jaxrl: stopped\n"


def test_a_working_directory_that_is_gone(monkeypatch, capsys):
    def gone():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "getcwd", gone)
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err == (
        "jaxrl: error: the working directory has been removed: change to another one\n"
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_among_the_imports_of_the_process(signum):
    # The import that takes long is a stand-in, so that the signal comes in the midst of it.
    code = (
        "import os, sys, types; finder = types.SimpleNamespace()\n"
        f"finder.find_spec = lambda *_: os.kill(os.getpid(), {int(signum)})\n"
        "import jaxrl.__main__; sys.meta_path.insert(0, finder); sys.exit(jaxrl.__main__.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + signum, "")
    assert done.stderr == f"jaxrl: stopped by {signum.name}\n"
