import csv
import errno
import json
import math
import os
import shutil
import signal
import time
import types

import gymnasium
import jax
import numpy as np
import pytest

import jaxrl
from jaxrl.experiment import folder, intervals
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.cli import main
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.loggers import ConsoleLogger
from jaxrl.experiment.reports import trouble_in, when_due, when_evaluated
from jaxrl.experiment.run import Diverged, Interrupted, evaluate_run, resume
from jaxrl.experiment.tensorboard import TensorBoardLogger, read_events

TIMING = ("seconds", "steps_per_second")


def rows(directory):
    """``metrics.csv`` without the columns that depend on the clock."""
    with (directory / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def events(directory):
    """All that TensorBoard's files hold, each value as often as it is there, without the time."""
    board = directory / "tensorboard"
    return sorted(
        (path.parent.name, event.step, value.tag, value.simple_value)
        for path in board.rglob("events.*")
        for event, _ in read_events(path)
        for value in event.summary.value
        if not value.tag.startswith("time/")
    )


def leaves(directory):
    """The arrays of the last checkpoint, typed keys as their words."""
    state = folder.open_run(directory).state
    data = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return {jax.tree_util.keystr(path): np.asarray(data(x)) for path, x in jax.tree_util.tree_leaves_with_path(state)}


def assert_same_run(one, other):
    assert rows(one) == rows(other)
    assert events(one) == events(other)
    a, b = leaves(one), leaves(other)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name
    summaries = [json.loads((d / "summary.json").read_text()) for d in (one, other)]
    assert summaries[0]["final_return"] == summaries[1]["final_return"]


def send_to_this_process(signum):
    """As a terminal does. Another thread than this one takes it, which a busy machine lets wait."""
    os.kill(os.getpid(), signum)
    time.sleep(0.5)


def stop_at(monkeypatch, steps, act):
    """Do something as the report of this step is written."""
    write = ConsoleLogger.write

    def patched(self, reports):
        write(self, reports)
        if reports[0]["steps"] == steps:
            act()

    monkeypatch.setattr(ConsoleLogger, "write", patched)


class Killed(BaseException):
    """Stands for a process that is gone at once."""


def kill():
    raise Killed


def lose(logger):
    """Stands for the end of a process that does not come to writing out what it holds."""
    for writer in logger._writers.values():
        file = writer._py_recordio_writer._writer
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), file.fileno())


class TestFolder:
    def test_it_holds_what_was_promised(self, ppo_run):
        there = {path.name for path in ppo_run.iterdir()}
        assert there >= {"config.yaml", "metrics.csv", "summary.json", "checkpoints", "curve.png", "tensorboard"}

    def test_the_summary_has_exactly_these_keys(self, ppo_run):
        summary = json.loads((ppo_run / "summary.json").read_text())
        assert list(summary) == [
            "algorithm", "env", "total_steps", "steps", "num_seeds", "final_return", "wall_seconds", "compile_seconds",
            "steps_per_second", "versions", "device",
        ]  # fmt: skip
        assert (summary["algorithm"], summary["env"]) == ("ppo", "CartPole-v1")
        assert (summary["total_steps"], summary["steps"], summary["num_seeds"]) == (256, 256, 2)
        assert len(summary["final_return"]) == 2 and all(1 <= x <= 500 for x in summary["final_return"])
        assert 0 < summary["compile_seconds"] < summary["wall_seconds"]
        assert summary["versions"]["jax"] == jax.__version__
        assert summary["versions"]["jaxrl"] == jaxrl.__version__

    def test_there_is_a_row_for_each_interval_and_seed(self, ppo_run):
        # 256 steps are 16 iterations of 2 environments x 8 steps, in 8 intervals.
        # The rows of step 0 are of the untrained policy.
        expected = [(str(32 * i), str(seed)) for i in range(9) for seed in (0, 1)]
        assert [(row["steps"], row["seed"]) for row in rows(ppo_run)] == expected
        evaluated = {row["steps"] for row in rows(ppo_run) if row["eval_return"]}
        assert evaluated == {"0", "128", "256"}
        assert all(math.isfinite(float(row["loss"])) for row in rows(ppo_run)[2:])

    @pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
    def test_a_curve_begins_with_the_policy_as_it_was_initialised(self, algorithm, request):
        directory = request.getfixturevalue(f"{algorithm}_run")
        runner = folder.open_run(directory).runner
        untrained = runner.evaluate(runner.init()).episode_return.mean(axis=1)
        first = rows(directory)[:2]
        assert [float(row["eval_return"]) for row in first] == pytest.approx(untrained.tolist(), rel=1e-8)
        assert [(row["steps"], row["episodes"], row["episode_return"], row["loss"]) for row in first] == [
            ("0", "0", "", "")
        ] * 2

    def test_the_final_return_is_that_of_the_last_evaluation(self, ppo_run):
        summary = json.loads((ppo_run / "summary.json").read_text())
        last = [float(row["eval_return"]) for row in rows(ppo_run)[-2:]]
        assert last == pytest.approx(summary["final_return"], rel=1e-8)

    def test_the_last_few_checkpoints_and_the_best_are_kept(self, ppo_run):
        kept = Checkpoints(ppo_run / "checkpoints").steps()
        assert kept[-3:] == [128, 192, 256] and set(kept) <= {64, 128, 192, 256}


class TestResume:
    @pytest.mark.parametrize(
        "algorithm",
        ["ppo", "dqn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ddpg", "crossq", "recurrent"))],
    )
    def test_killed_and_resumed_is_bit_for_bit_the_run_that_went_on(
        self, algorithm, train_tiny, tmp_path, monkeypatch, request
    ):
        straight = request.getfixturevalue(f"{algorithm}_run")
        steps = [int(row["steps"]) for row in rows(straight)[2::2]]
        with monkeypatch.context() as patch:
            # After the 5th of 8 intervals there is a report, but the last checkpoint is that of the 4th.
            stop_at(patch, steps[4], kill)
            patch.setattr(TensorBoardLogger, "close", lose)
            with pytest.raises(Killed):
                train_tiny(algorithm, tmp_path / "run")
        assert len(rows(tmp_path / "run")) == 2 + 10
        assert Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == steps[3]

        assert main(["train", "--resume", str(tmp_path / "run"), "--no-progress"]) == 0

        assert_same_run(straight, tmp_path / "run")

    def test_a_goal_ends_the_run(self, train_tiny, ppo_run, tmp_path, capsys):
        assert train_tiny("ppo", tmp_path / "run", stop_at_return=9) == 0
        returns = [float(row["episode_return"] or "nan") for row in rows(ppo_run)]
        known = [[r for r in returns[2 * i + 2 : 2 * i + 4] if r == r] for i in range(8)]
        last = next(i for i, of_seeds in enumerate(known) if of_seeds and np.mean(of_seeds) >= 9)
        assert last < 7
        done = rows(tmp_path / "run")
        # Up to there it is the run without a goal, and then there is an evaluation and a checkpoint.
        assert [{**row, "eval_return": ""} for row in done] == [
            {**row, "eval_return": ""} for row in rows(ppo_run)[: len(done)]
        ]
        assert len(done) == 2 * (last + 2) and all(row["eval_return"] for row in done[-2:])
        assert "what the run was to stop at" in capsys.readouterr().err
        summary = json.loads((tmp_path / "run" / "summary.json").read_text())
        assert summary["steps"] == int(done[-1]["steps"]) == 32 * (last + 1)
        # What is left to do after a kill is to sum it up.
        (tmp_path / "run" / "summary.json").unlink()
        assert main(["train", "--resume", str(tmp_path / "run"), "--no-progress"]) == 0
        assert rows(tmp_path / "run") == done
        again = json.loads((tmp_path / "run" / "summary.json").read_text())
        assert (again["steps"], again["final_return"]) == (summary["steps"], summary["final_return"])

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_saves_and_says_how_to_go_on(self, signum, train_tiny, ppo_run, tmp_path, monkeypatch, capsys):
        out = tmp_path / "run"
        before = signal.getsignal(signum)
        with monkeypatch.context() as patch:
            # The 3rd interval has no checkpoint of its own.
            stop_at(patch, 96, lambda: send_to_this_process(signum))
            assert train_tiny("ppo", out) == 128 + signum
        assert f"jaxrl train --resume {out}" in capsys.readouterr().err
        assert Checkpoints(out / "checkpoints").steps()[-1] == 96
        assert signal.getsignal(signum) is before
        if signum == signal.SIGINT:
            assert main(["train", "--resume", str(out), "--no-progress"]) == 0
            assert_same_run(ppo_run, out)

    def test_interrupted_from_python_is_a_keyboard_interrupt(self):
        stop = Interrupted(folder.Path("runs/x"), 96, signal.SIGINT)
        assert isinstance(stop, KeyboardInterrupt) and "jaxrl train --resume runs/x" in str(stop)

    def test_a_run_without_any_checkpoint_starts_at_the_beginning(self, train_tiny, ppo_run, tmp_path, monkeypatch):
        out = tmp_path / "run"
        with monkeypatch.context() as patch:
            stop_at(patch, 32, kill)
            with pytest.raises(Killed):
                train_tiny("ppo", out)
        assert not Checkpoints(out / "checkpoints").steps()
        resume(out, progress=False)
        assert_same_run(ppo_run, out)

    def test_a_finished_run_says_so_and_is_left_alone(self, copy_of_ppo, capsys):
        before = {p: p.stat().st_mtime_ns for p in copy_of_ppo.rglob("*") if p.is_file()}
        assert main(["train", "--resume", str(copy_of_ppo)]) == 0
        assert "is finished" in capsys.readouterr().err
        assert {p: p.stat().st_mtime_ns for p in copy_of_ppo.rglob("*") if p.is_file()} == before

    def test_a_damaged_checkpoint_falls_back_to_the_last_good_one(self, copy_of_ppo, ppo_run, capsys):
        (copy_of_ppo / "summary.json").unlink()
        damage(copy_of_ppo / "checkpoints" / "256")
        assert main(["train", "--resume", str(copy_of_ppo), "--no-progress"]) == 0
        message = capsys.readouterr().err
        assert "the checkpoint of step 256 is damaged" in message and "step 192" in message
        assert_same_run(ppo_run, copy_of_ppo)

    def test_edited_settings_are_another_configuration(self, copy_of_ppo, capsys):
        (copy_of_ppo / "summary.json").unlink()
        path = copy_of_ppo / "config.yaml"
        path.write_text(path.read_text().replace("hidden_sizes: [8]", "hidden_sizes: [16]"))
        assert main(["train", "--resume", str(copy_of_ppo)]) == 2
        assert (
            "config.hidden_sizes=[16]: the checkpoints were written with config.hidden_sizes=[8]"
            in capsys.readouterr().err
        )
        path.write_text(
            path.read_text().replace("hidden_sizes: [16]", "hidden_sizes: [8]").replace("clip: 0.2", "clip: 0.3")
        )
        with pytest.raises(UserError, match="hyperparameters.clip=0.3"):
            resume(copy_of_ppo)

    def test_on_the_host_all_but_the_simulators_goes_on(self, train_tiny, tmp_path, monkeypatch):
        out = tmp_path / "run"
        with monkeypatch.context() as patch:
            stop_at(patch, 128, lambda: send_to_this_process(signal.SIGINT))
            assert train_tiny("ppo", out, env="gymnasium:CartPole-v1") == 130
        result = resume(out, progress=False)
        assert [row["steps"] for row in rows(out)] == [str(32 * i) for i in range(9) for _ in range(2)]
        assert result.final_return.shape == (2,)


def damage(checkpoint):
    largest = max(
        (p for p in checkpoint.rglob("*") if p.is_file() and p.parent.name == "d"), key=lambda p: p.stat().st_size
    )
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


class TestTrouble:
    def test_nan_stops_the_run_and_leaves_the_last_good_checkpoint(self, train_tiny, tmp_path, monkeypatch, capsys):
        advance = jaxrl.training.CompiledRunner.advance
        calls = []

        def diverging(self, state, iterations):
            state, metrics = advance(self, state, iterations)
            calls.append(iterations)
            if len(calls) == 4:
                metrics = metrics._replace(losses={**metrics.losses, "value_loss": np.array([1.0, np.nan])})
            return state, metrics

        monkeypatch.setattr(jaxrl.training.CompiledRunner, "advance", diverging)
        assert train_tiny("ppo", tmp_path / "run") == 1
        message = capsys.readouterr().err.splitlines()[-1]
        assert "value_loss of seed 1" in message and "step 128" in message and message.endswith("checkpoints/64")
        assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [64]
        assert not (tmp_path / "run" / "summary.json").exists()

    def test_a_learning_rate_that_is_far_too_high_is_caught(self, train_tiny, tmp_path, capsys):
        assert train_tiny("ppo", tmp_path / "run", hp__learning_rate="linear(1e38, 1e38, fraction=1)") == 1
        assert "is no longer finite at step" in capsys.readouterr().err

    def test_a_full_disk_is_one_sentence(self, train_tiny, tmp_path, monkeypatch, capsys):
        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Checkpoints, "_write_arrays", full)
        assert train_tiny("ppo", tmp_path / "run") == 2
        assert "No space left on device; free some space" in capsys.readouterr().err.splitlines()[-1]

    def test_the_summary_is_there_before_all_that_may_fail_at_the_end(self, train_tiny, tmp_path, monkeypatch, capsys):
        there = []

        def full(directory):
            there.append((directory / "summary.json").exists())
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        close = TensorBoardLogger.close
        closing = lambda self: (there.append((self.directory.parent / "summary.json").exists()), close(self))
        monkeypatch.setattr("jaxrl.experiment.plots.plot_curve", full)
        monkeypatch.setattr(TensorBoardLogger, "close", closing)
        assert train_tiny("ppo", tmp_path / "run") == 0
        assert there == [True, True]
        assert "the learning curve could not be drawn (OSError: [Errno 28] No space left" in capsys.readouterr().err

    def test_a_file_in_the_place_of_the_folder(self, train_tiny, tmp_path, capsys):
        (tmp_path / "file").write_text("mine")
        assert train_tiny("ppo", tmp_path / "file" / "run") == 2
        assert "cannot write" in capsys.readouterr().err
        assert (tmp_path / "file").read_text() == "mine"

    def test_trouble_is_looked_for_in_losses_and_parameters(self, ppo_run):
        metrics = jaxrl.training.Metrics(*[np.zeros(2)] * 6, {"loss": np.zeros(2)}, np.array([True, True]))
        assert trouble_in(metrics, [4, 5]) is None
        assert trouble_in(metrics._replace(finite=np.array([True, False])), [4, 5]) == ("parameters", 5)
        assert trouble_in(metrics._replace(losses={"loss": np.array([np.inf, 0.0])}), [4, 5]) == ("loss", 4)
        assert issubclass(Diverged, UserError)


class TestFromPython:
    def test_one_line_trains_and_returns_everything(self, tmp_path, ppo_run):
        config = {"num_envs": 2, "rollout_length": 8, "num_minibatches": 2, "num_epochs": 1, "hidden_sizes": (8,)}
        env = jaxrl.envs.make("CartPole-v1")
        result = jaxrl.train(
            "ppo", env=env, total_steps=256, num_seeds=2, config=config, out=tmp_path / "run", num_intervals=8,
            num_evaluations=1, num_checkpoints=1, progress=False,
        )  # fmt: skip
        # The same settings, given otherwise, are the same run.
        assert result.final_return.tolist() == json.loads((ppo_run / "summary.json").read_text())["final_return"]
        assert result.env is env and result.agent.config.hidden_sizes == (8,)
        assert all(x.shape[0] == 2 for x in jax.tree.leaves(result.state.agent))

    def test_an_evaluation_of_the_last_checkpoint_is_the_run_s_own(self, ppo_run):
        summary = json.loads((ppo_run / "summary.json").read_text())
        report = evaluate_run(ppo_run)
        assert report.step == 256 and report.evaluation.episode_return.shape == (2, 32)
        assert report.evaluation.episode_return.mean(axis=1).tolist() == summary["final_return"]

    def test_an_environment_that_was_given_must_be_given_again(self, tmp_path):
        env = jaxrl.envs.make("CartPole-v1", max_episode_steps=5)
        sizes = {"num_envs": 2, "rollout_length": 8, "num_minibatches": 2, "num_epochs": 1, "hidden_sizes": (8,)}
        result = jaxrl.train("ppo", env=env, total_steps=32, out=tmp_path / "run", config=sizes, progress=False)
        with pytest.raises(UserError, match="give it again"):
            evaluate_run(result.directory)
        report = evaluate_run(result.directory, num_episodes=4, env=env)
        assert np.all(report.evaluation.episode_length <= 5)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"env": gymnasium.make("CartPole-v1")}, "from_gymnasium"),
            ({"env": jaxrl.envs.make("CartPole-v1"), "env_parameters": {"nonsense": 3}}, "made already"),
        ],
        ids=["gymnasium", "parameters"],
    )
    def test_what_is_no_environment(self, tmp_path, given, message):
        with pytest.raises(UserError, match=message):
            jaxrl.train("ppo", **given, total_steps=64, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_typo_in_what_a_resumed_run_must_agree_with(self, copy_of_ppo):
        with pytest.raises(UserError, match="did you mean 'total_steps'"):
            resume(copy_of_ppo, total_stepz=2)

    def test_the_default_folder_is_new_and_below_runs(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        settings = jaxrl.experiment.settings.make_settings("ppo", "gymnasium:ALE/Pong-v5", 100, seed=3)
        first = folder.default_directory(settings)
        first.mkdir(parents=True)
        second = folder.default_directory(settings)
        assert first.parts[:3] == ("runs", "ppo", "gymnasium-ALE-Pong-v5") and first.name.endswith("_s3")
        assert second != first

    @pytest.mark.parametrize(("intervals", "count"), [(100, 10), (7, 3), (8, 8), (3, 10), (1, 1)])
    def test_what_is_due_is_spread_evenly_and_ends_with_the_run(self, intervals, count):
        due = when_due(intervals, count)
        assert len(due) == intervals and sum(due) == min(count, intervals) and due[-1]
        gaps = np.diff([-1, *np.flatnonzero(due)])
        assert max(gaps) - min(gaps) <= 1

    @pytest.mark.parametrize(
        ("intervals", "count", "expected"),
        [
            (100, 10, [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
            (1000, 4, [125, 250, 500, 750, 1000]),
            (8, 2, [4, 8]),
            (12, 6, [1, 2, 4, 6, 8, 10, 12]),
            (3, 10, [1, 2, 3]),
            (5, 10**9, [1, 2, 3, 4, 5]),
        ],
    )
    def test_evaluations_are_more_frequent_early(self, intervals, count, expected):
        assert (np.flatnonzero(when_evaluated(intervals, count)) + 1).tolist() == expected

    def test_nothing_is_left_behind_of_a_run_that_cannot_be(self, tmp_path):
        with pytest.raises(UserError, match="prefill"):
            jaxrl.train("dqn", env="CartPole-v1", total_steps=10, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
        shutil.rmtree(tmp_path)


def test_time_of_training_and_rates_leave_out_what_is_compiled_meanwhile(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(intervals.time, "perf_counter", lambda: now[0])
    runner = types.SimpleNamespace(compile_seconds=3.0)
    clock = intervals.Clock(started=0.0, training=10.0)
    with clock.train(runner):
        now[0], runner.compile_seconds = 9.0, 8.0
    assert clock.training == 10.0 + 9.0 - 5.0
