import builtins
import errno
import math
import os
import sys
import types

import numpy as np
import pytest

from jaxrl.experiment.errors import UserError
from jaxrl.experiment.loggers import (
    ConsoleLogger,
    CSVLogger,
    MultiLogger,
    WandbLogger,
    read_csv,
)


def report(steps, seeds=(0, 1), **values):
    return [{"steps": steps, "seed": seed, "episode_return": float(steps + seed), **values} for seed in seeds]


def test_csv_has_one_row_an_interval_and_seed(tmp_path):
    logger = CSVLogger(tmp_path / "run" / "metrics.csv")
    logger.write(report(128, loss=math.nan))
    logger.write(report(256, loss=np.float32(0.1), seconds=12345.678901234, episodes=7.0))
    text = (tmp_path / "run" / "metrics.csv").read_text()
    assert text.splitlines() == [
        "steps,seed,episode_return,loss,seconds,episodes",
        "128,0,128,,,",
        "128,1,129,,,",
        "256,0,256,0.100000001,12345.6789,7",
        "256,1,257,0.100000001,12345.6789,7",
    ]
    logger.close()


def test_csv_keeps_float32_exactly(tmp_path, rng):
    values = rng.normal(size=100).astype(np.float32) * np.float32(10) ** rng.integers(-30, 30, 100).astype(np.float32)
    logger = CSVLogger(tmp_path / "m.csv")
    logger.write([{"steps": 2**40 + i, "seed": 0, "x": v} for i, v in enumerate([*values, np.inf, -np.inf])])
    columns = read_csv(tmp_path / "m.csv")
    np.testing.assert_array_equal(columns["x"].astype(np.float32)[:100], values)
    assert list(columns["x"][100:]) == [np.inf, -np.inf]
    assert columns["steps"][-1] == 2**40 + 101


@pytest.mark.parametrize("kept", range(0, 40, 3))
def test_csv_goes_on_after_a_kill_in_the_middle_of_a_line(tmp_path, kept):
    path = tmp_path / "metrics.csv"
    logger = CSVLogger(path)
    logger.write(report(1, loss=0.25))
    whole = path.stat().st_size
    logger.write(report(2, loss=0.125))
    os.truncate(path, min(path.stat().st_size, whole + kept))
    again = CSVLogger(path)
    again.truncate_after(1)
    again.write(report(2, loss=0.5))
    again.close()
    columns = read_csv(path)
    assert list(columns["steps"]) == [1, 1, 2, 2]
    assert list(columns["loss"]) == [0.25, 0.25, 0.5, 0.5]


def test_csv_forgets_what_came_after_the_checkpoint(tmp_path):
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.truncate_after(0)
    for steps in (100, 200, 300):
        logger.write(report(steps))
    logger.truncate_after(200)
    logger.write(report(250, new=1.0))
    columns = read_csv(tmp_path / "metrics.csv")
    assert list(columns["steps"]) == [100, 100, 200, 200, 250, 250]
    np.testing.assert_array_equal(columns["new"], [math.nan] * 4 + [1, 1])
    assert os.listdir(tmp_path) == ["metrics.csv"]


def test_csv_reports_a_full_disk_in_one_sentence(tmp_path, monkeypatch):
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.write(report(1))

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="cannot write .*metrics.csv: No space left"):
        logger.write(report(2, new=1.0))
    monkeypatch.undo()
    assert list(read_csv(tmp_path / "metrics.csv")["steps"]) == [1, 1]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*Not a directory|File exists"):
        CSVLogger(tmp_path / "file" / "metrics.csv")


def test_reading_what_is_no_table_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no metrics.csv in .*is it the folder of a run"):
        read_csv(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_text("steps,seed\n1,abc\n")
    with pytest.raises(UserError, match="not a table of numbers: .*abc"):
        read_csv(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_bytes(b"steps\n\xff\xfe\n")
    with pytest.raises(UserError, match="not a table"):
        read_csv(tmp_path / "metrics.csv")


def test_console_shows_evaluations_as_means_over_the_seeds(capsys):
    logger = ConsoleLogger()
    logger.write(report(1000, eval_return=math.nan))
    assert capsys.readouterr().out == ""
    rows = report(20_000, steps_per_second=123456.7, loss=0.123456)
    rows[0]["eval_return"], rows[1]["eval_return"] = 10.0, 20.0
    logger.write(rows)
    # The standard deviation of 10 and 20 is sqrt(50) = 7.07.
    assert capsys.readouterr().out == (
        "step 20,000  eval_return 15 ± 7.07  episode_return 20,000  loss 0.1235  steps_per_second 123,457\n"
    )
    ConsoleLogger(every_report=True).write(report(7, seeds=[3]))
    assert capsys.readouterr().out == "step 7  episode_return 10\n"


def test_several_loggers_are_one_and_all_are_closed():
    class Recorder:
        def __init__(self, error=None):
            self.calls, self.error = [], error

        def write(self, rows):
            self.calls.append(rows)

        def truncate_after(self, steps):
            self.calls.append(steps)

        def flush(self):
            self.calls.append("flushed")

        def close(self):
            self.calls.append("closed")
            if self.error:
                raise self.error

    first, second = Recorder(UserError("full")), Recorder()
    logger = MultiLogger([first, second])
    logger.truncate_after(3)
    logger.write([{"steps": 4}])
    logger.flush()
    with pytest.raises(UserError, match="full"):
        logger.close()
    assert first.calls == second.calls == [3, [{"steps": 4}], "flushed", "closed"]


class FakeWandb(types.ModuleType):
    def __init__(self):
        super().__init__("wandb")
        self.started, self.logged, self.finished = [], [], 0

    def init(self, **settings):
        self.started.append(settings)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished += 1


def test_wandb_logs_each_seed_and_the_mean(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WandbLogger("project", {"algorithm": "ppo"}, tmp_path / "run7")
    assert fake.started == [] and not (tmp_path / "run7").exists()
    rows = report(10)
    rows[0]["loss"], rows[1]["loss"] = math.nan, 2.0
    logger.write(rows)
    logger.write(report(20, seeds=[4]))
    logger.close()
    assert fake.logged == [
        (10, {"steps": 10, "episode_return": 10.5, "seed_0/episode_return": 10.0, "seed_1/episode_return": 11.0,
              "loss": 2.0, "seed_1/loss": 2.0}),
        (20, {"steps": 20, "episode_return": 24.0}),
    ]  # fmt: skip
    assert fake.finished == 1
    again = WandbLogger("project", directory=tmp_path / "run7", group="sweep")
    again.write(report(30))
    first, second = fake.started
    assert first["id"] == second["id"] and first["resume"] == "allow"
    assert (first["name"], first["group"], second["group"]) == ("run7", "run7", "sweep")


def test_wandb_says_how_to_get_it_or_why_it_does_not_start(monkeypatch):
    real_import = builtins.__import__

    def without_wandb(name, *args, **kwargs):
        if name == "wandb":
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_wandb)
    with pytest.raises(UserError, match=r"pip install 'jaxrl\[wandb\]'"):
        WandbLogger("project")
    monkeypatch.undo()

    fake = FakeWandb()
    fake.init = lambda **settings: 1 / 0
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WandbLogger("project")
    with pytest.raises(UserError, match=r"wandb could not start \(division by zero\); .*WANDB_MODE=offline"):
        logger.write(report(1))
    logger.close()


def test_wandb_itself_works_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger("jaxrl-test", {"seed": 0}, tmp_path / "run")
    logger.write(report(1))
    logger.close()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
