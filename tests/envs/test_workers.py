import os
import signal
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv

from jaxrl.envs.workers import close_workers, worker_reports

pytestmark = pytest.mark.filterwarnings("ignore:os.fork", "ignore::DeprecationWarning")


class Raises(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        if action == 1:
            raise ValueError("the cart is gone")
        return np.zeros(2, np.float32), 1.0, False, False, {}


@pytest.fixture
def envs():
    made = AsyncVectorEnv([Raises, Raises], context="fork")
    made.reset(seed=0)
    yield made
    for process in made.processes:
        process.kill()


def all_ended(envs):
    return not any(process.is_alive() for process in envs.processes)


def test_workers_that_answer_are_closed(envs):
    envs.step(np.array([0, 0]))
    close_workers(envs)
    assert envs.closed and all_ended(envs)
    assert [process.exitcode for process in envs.processes] == [0, 0]


def test_what_a_worker_tells_of_its_error_is_collected(envs, capsys):
    # pytest has a hook of its own; the process that trains has Python's, which prints.
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: print(message)
        with worker_reports() as told:
            with pytest.raises(ValueError, match="the cart is gone"):
                envs.step(np.array([0, 1]))
            warnings.warn("something else", stacklevel=1)
            close_workers(envs)
    assert any("Traceback" in text and "the cart is gone" in text for text in told)
    assert capsys.readouterr().out == "something else\n"
    assert all_ended(envs)


@pytest.mark.parametrize("under_way", [False, True])
def test_workers_that_a_signal_has_ended_are_closed(envs, under_way):
    if under_way:
        envs.step_async(np.array([0, 0]))
    os.kill(envs.processes[0].pid, signal.SIGKILL)
    envs.processes[0].join()
    with worker_reports():
        close_workers(envs)
    assert envs.closed and all_ended(envs)
