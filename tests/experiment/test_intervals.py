"""What is saved when a run cannot go on, on a stand-in for the runner that does no work."""

import os
import signal
import sys
import threading
import types
from typing import NamedTuple

import numpy as np
import pytest

from jaxrl.envs.errors import EnvironmentFailed
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.errors import EnvironmentBroke
from jaxrl.experiment.folder import Opened
from jaxrl.experiment.interruptions import Interrupted, Stop, Stopped, watched
from jaxrl.experiment.intervals import Clock, Intervals
from jaxrl.experiment.settings import make_settings
from jaxrl.training.evaluation import Evaluation
from jaxrl.training.metrics import Metrics


class State(NamedTuple):
    agent: dict
    iteration: np.ndarray


class FakeRunner:
    """A host's runner of 8 iterations of 16 steps, that calls ``act`` at one of them or in one of its evaluations."""

    is_host, num_seeds, num_iterations, steps_per_iteration = True, 1, 8, 16
    compile_seconds, compile_clock = 0.0, None

    def __init__(self, act=None, iteration=None, evaluation=None):
        self.act, self.iteration, self.evaluation, self.evaluations = act, iteration, evaluation, 0
        self.whole, self.parameter = None, 1.0

    def init(self):
        return State({"params": np.float32([self.parameter])}, np.array([0]))

    def advance(self, state, iterations):
        for _ in range(iterations):
            self.whole = state
            if state.iteration[0] + 1 == self.iteration:
                self.act()
            state = State({"params": np.float32([self.parameter])}, state.iteration + 1)
        one = np.ones(1)
        return state, Metrics(one, one, one, one, one, one, {"loss": one}, one > 0)

    def evaluate(self, state, *_):
        self.evaluations += 1
        if self.evaluations == self.evaluation:
            self.act()
        return Evaluation(np.ones((1, 2)), np.ones((1, 2), int), np.ones((1, 2), bool))

    def salvaged(self):
        return self.whole

    def steps_after(self, iterations):
        return 16 * iterations

    def iterations_done(self, state):
        return int(state.iteration[0])


@pytest.fixture
def go(tmp_path):
    """``go(runner)`` is a run of four intervals; it goes on where the last one ended. Returns what it raised."""
    settings = make_settings(
        "ppo", "CartPole-v1", 128, preset="none", num_intervals=4, num_evaluations=2, num_checkpoints=1
    )

    def run(runner, stop=None):
        opened = Opened(tmp_path, settings, types.SimpleNamespace(), runner, None, 0, {})
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        if checkpoints.steps():
            restored = checkpoints.restore(FakeRunner().init())
            opened = opened._replace(state=restored.state, step=restored.step, metadata=restored.metadata)
        with Intervals(opened, Clock(0.0), stop or Stop(deferred=True), None, False) as intervals:
            try:
                intervals.run()
            except BaseException as error:
                return error

    return run


def fail():
    raise EnvironmentFailed("Cart", "step", ValueError("gone"), 7)


def reported(directory):
    lines = (directory / "metrics.csv").read_text().splitlines()[1:]
    return [int(line.split(",")[0]) for line in lines]


def saved(directory):
    return Checkpoints(directory / "checkpoints").steps()


def test_the_last_whole_iteration_is_saved_and_the_interval_goes_on_from_there(go, tmp_path):
    error = go(FakeRunner(fail, iteration=4))
    assert isinstance(error, EnvironmentBroke) and isinstance(error.__cause__, EnvironmentFailed)
    assert saved(tmp_path) == [48] and reported(tmp_path) == [0, 32]
    assert go(FakeRunner()) is None
    assert saved(tmp_path) == [48, 128] and reported(tmp_path) == [0, 32, 64, 96, 128]


def test_a_report_is_not_lost_where_its_evaluation_breaks(go, tmp_path):
    # The first evaluation is before training, the second one after the second interval.
    assert isinstance(go(FakeRunner(fail, evaluation=2)), EnvironmentBroke)
    assert saved(tmp_path) == [64] and reported(tmp_path) == [0, 32, 64]
    assert go(FakeRunner()) is None
    assert reported(tmp_path) == [0, 32, 64, 96, 128]


def test_before_there_is_anything_to_save(go, tmp_path):
    error = go(FakeRunner(fail, evaluation=1))
    assert isinstance(error, EnvironmentBroke) and "there is no checkpoint yet" in str(error)
    assert saved(tmp_path) == []


def test_a_policy_that_is_no_longer_finite_is_not_saved(go, tmp_path):
    runner = FakeRunner(fail, iteration=4)
    runner.parameter = np.nan
    assert "there is no checkpoint yet" in str(go(runner)) and saved(tmp_path) == []


def test_a_worker_that_ctrl_c_ended_first(go, tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    error = go(FakeRunner(interrupted, iteration=4))
    assert isinstance(error, Interrupted) and (error.steps, error.signum) == (48, signal.SIGINT)
    assert saved(tmp_path) == [48] and not (tmp_path / "error.txt").exists()


def test_a_worker_that_a_signal_to_all_ended_a_little_earlier(go, tmp_path):
    def ended():
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        raise EnvironmentFailed("Cart", "step", EOFError(), 7)

    with watched() as stop:
        stop.deferred = True
        error = go(FakeRunner(ended, iteration=4), stop)
    assert isinstance(error, Interrupted) and (error.steps, error.signum) == (48, signal.SIGTERM)


def test_who_insists_is_not_kept_waiting(go, tmp_path):
    stop = Stop(deferred=True)

    def insist():
        stop.signum = signal.SIGINT
        stop.take(signal.SIGINT)

    assert isinstance(go(FakeRunner(insist, iteration=4), stop), Stopped)
    assert saved(tmp_path) == []


def test_a_wish_before_the_first_interval_leaves_a_checkpoint(go, tmp_path):
    error = go(FakeRunner(), Stop(deferred=True, signum=signal.SIGTERM))
    assert isinstance(error, Interrupted) and error.steps == 0 and saved(tmp_path) == [0]
    assert go(FakeRunner()) is None
    assert reported(tmp_path) == [0, 32, 64, 96, 128]


def test_a_damaged_checkpoint_of_a_later_step_is_replaced(go, tmp_path):
    go(FakeRunner(fail, iteration=4))
    (tmp_path / "checkpoints" / "90").mkdir()
    error = go(FakeRunner(fail, iteration=5))
    assert "the checkpoint of step 64 is kept" in str(error) and saved(tmp_path) == [48, 64]


def test_an_environment_that_ends_the_process_does_not_end_it_in_silence(go, tmp_path):
    error = go(FakeRunner(sys.exit, iteration=4))
    assert isinstance(error, EnvironmentBroke) and "called sys.exit()" in str(error) and saved(tmp_path) == [48]


def test_other_errors_are_left_as_they_are_with_a_checkpoint_and_a_traceback(go, tmp_path):
    assert isinstance(go(FakeRunner(lambda: 1 / 0, iteration=4)), ZeroDivisionError)
    assert saved(tmp_path) == [48]
    assert "ZeroDivisionError" in (tmp_path / "error.txt").read_text()
