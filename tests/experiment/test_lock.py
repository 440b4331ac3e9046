import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from jaxrl.experiment import lock
from jaxrl.experiment.cli import main
from jaxrl.experiment.errors import UserError

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from jaxrl.experiment import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_one_is_told_who_works_there(tmp_path):
    with lock.held(tmp_path):
        record = json.loads((tmp_path / lock.FILE).read_text())
        with pytest.raises(UserError) as told, lock.held(tmp_path):
            pass
    who = f"process {os.getpid()} on {socket.gethostname()} has worked there since {record['since']}"
    assert str(told.value).startswith(f"{tmp_path} is in use: {who};")
    # It leaves nothing behind, and can be had again.
    assert list(tmp_path.iterdir()) == []
    with lock.held(tmp_path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {process.pid} on"), lock.held(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / lock.FILE).exists()
        with lock.held(tmp_path):
            pass
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:os.fork")
def test_a_forked_worker_does_not_hold_it_on(tmp_path):
    with lock.held(tmp_path):
        (descriptor,) = lock._descriptors
        pid = os.fork()
        if pid == 0:
            try:
                os.fstat(descriptor)
            except OSError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with pytest.raises(UserError, match="is in use"), lock.held(tmp_path):
            pass


def test_a_process_of_another_host_that_did_not_say_good_bye_is_named(tmp_path, capsys):
    (tmp_path / lock.FILE).write_text(json.dumps({"pid": 7, "host": "elsewhere", "since": "2026-01-01"}))
    with lock.held(tmp_path):
        assert "process 7 on elsewhere worked in" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_a_damaged_record_is_another_process(tmp_path, text):
    with lock.held(tmp_path):
        (tmp_path / lock.FILE).write_text(text)
        with pytest.raises(UserError, match="in use: another process has"), lock.held(tmp_path):
            pass


def test_a_file_system_without_locks_is_told(tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise OSError(lock.errno.ENOLCK, os.strerror(lock.errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock.held(tmp_path):
        assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_nobody_writes_into_a_run_that_is_under_way_and_everybody_may_read(copy_of_ppo, train_tiny, capsys):
    (copy_of_ppo / "summary.json").unlink()
    before = {p: p.stat().st_mtime_ns for p in copy_of_ppo.rglob("*") if p.is_file()}
    with lock.held(copy_of_ppo):
        sweep = ["sweep", "ppo", "--env", "CartPole-v1", "--grid", "clip=0.1,0.2", "--out", str(copy_of_ppo)]
        assert main(["train", "--resume", str(copy_of_ppo)]) == 2
        assert train_tiny("ppo", copy_of_ppo) == 2
        assert main(sweep) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 3 and all(f"is in use: process {os.getpid()} on" in line for line in lines)
        assert main(["eval", str(copy_of_ppo), "--episodes", "2"]) == 0
        assert main(["plot", str(copy_of_ppo), "--out", str(copy_of_ppo.parent / "plot.png")]) == 0
    assert {p: p.stat().st_mtime_ns for p in copy_of_ppo.rglob("*") if p.is_file()} == before


def test_a_reader_leaves_alone_what_a_writer_is_replacing(tmp_path):
    from jaxrl.experiment.checkpoints import Checkpoints

    (tmp_path / ".64.replaced").mkdir()
    Checkpoints(tmp_path, read_only=True)
    assert [p.name for p in tmp_path.iterdir()] == [".64.replaced"]
    Checkpoints(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["64"]


@pytest.mark.parametrize("name", [lock.FILE, "error.txt"])
def test_nothing_is_written_through_a_symbolic_link(tmp_path, name):
    precious, directory = tmp_path / "precious", tmp_path / "run"
    precious.write_text("kept")
    directory.mkdir()
    (directory / name).symlink_to(precious)
    with pytest.raises(UserError, match="is a symbolic link"), lock.held(directory):
        pass
    assert precious.read_text() == "kept" and (directory / name).is_symlink()
