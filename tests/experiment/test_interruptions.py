import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import gymnasium
import jax
import pytest

import jaxrl
from jaxrl.envs.errors import EnvironmentFailed
from jaxrl.envs.gymnasium_adapter import EnvironmentList
from jaxrl.envs.host import HostEnvironment
from jaxrl.experiment import interruptions
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.errors import EnvironmentBroke, UserError
from jaxrl.experiment.interruptions import Stop, Stopped, watched
from jaxrl.experiment.tensorboard import read_events

SIZES = {"num_envs": 2, "rollout_length": 8, "num_minibatches": 2, "num_epochs": 1, "hidden_sizes": (8,)}
IN_THE_FOURTH = 4 + 3 * 8 + 5


@pytest.fixture
def no_mask():
    """Signals as they were, whatever a test does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGURG)}
    yield
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert {s: signal.getsignal(s) for s in handlers} == handlers
    assert signal.set_wakeup_fd(-1) == -1


class TestStop:
    def test_the_first_signal_is_a_wish_and_the_second_one_stops_at_once(self, capsys, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(interruptions.time, "monotonic", lambda: now[0])
        stop = Stop(deferred=True)
        stop.take(signal.SIGTERM)
        assert (stop.signum, stop.at_once) == (signal.SIGTERM, False)
        # What a launcher passes on is the same press.
        now[0] += 0.9
        stop.take(signal.SIGTERM)
        assert capsys.readouterr().err.count("stopping after this interval") == 1
        now[0] += 0.2
        with pytest.raises(Stopped, match="stopped by SIGINT") as stopped:
            stop.take(signal.SIGINT)
        assert stop.at_once and stopped.value.signum == signal.SIGINT

    def test_without_anything_to_save_the_first_one_does(self):
        with pytest.raises(Stopped):
            Stop().take(signal.SIGINT)


class TestWatched:
    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_wakes_the_main_thread(self, no_mask, signum):
        timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signum))
        began = time.monotonic()
        with pytest.raises(Stopped) as stopped, watched():
            timer.start()
            time.sleep(20)
        assert time.monotonic() - began < 10 and stopped.value.signum == signum

    def test_a_wish_does_not_break_what_is_under_way(self, no_mask):
        with watched() as stop:
            stop.deferred = True
            threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            began = time.monotonic()
            time.sleep(0.3)
            assert stop.signum == signal.SIGINT and time.monotonic() - began >= 0.3

    def test_children_do_not_hear_ctrl_c_and_can_be_terminated(self, no_mask):
        code = "import signal, os; os.kill(os.getpid(), signal.SIGINT); print('alive', flush=True); input()"
        with watched():
            child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=-1, text=True)
            assert child.stdout.readline() == "alive\n"
            child.terminate()
            assert child.wait(20) == -signal.SIGTERM
            child.communicate()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
    def test_workers_do_not_hear_it_however_they_are_started(self):
        # In a process of its own, that has started no worker before: the first one starts more beside it.
        code = """
            import multiprocessing, re, signal, time
            from pathlib import Path
            from jaxrl.experiment.interruptions import watched
            with watched():
                for kind in ("spawn", "forkserver", "fork"):
                    context = multiprocessing.get_context(kind)
                    queue = context.Queue()
                    child = context.Process(target=time.sleep, args=(60,))
                    child.start()
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    print(kind, int(re.search(r"SigBlk:\\s*(\\w+)", status)[1], 16) >> (signal.SIGINT - 1) & 1)
                    child.kill()
                    child.join()
            assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
        assert done.stdout.split() == ["spawn", "1", "forkserver", "1", "fork", "1"], done.stderr

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:os.fork")
    def test_forked_children_end_by_sigterm_and_say_nothing(self, no_mask, capfd):
        with watched() as stop:
            stop.deferred = True
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), signal.SIGINT)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(20)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
            assert stop.signum is None
        assert capfd.readouterr().err == ""

    def test_in_another_thread_it_does_nothing(self, no_mask):
        found = []

        def work():
            with watched() as stop:
                found.append((stop.signum, signal.getsignal(signal.SIGINT)))

        before = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [(None, before)]


class Breaking(EnvironmentList):
    """``VectorEnv`` of CartPole that does something at its call ``at`` of all the calls of ``receive``."""

    calls, at, act = 0, None, None

    def receive(self):
        Breaking.calls += 1
        if Breaking.calls == Breaking.at:
            Breaking.act()
        return super().receive()

    def close(self):
        super().close()
        if Breaking.at is not None:  # as simulators do that something has gone wrong in
            raise RuntimeError("closed twice")


def make_breaking():
    """Episodes of four steps, as an environment of the host."""
    one = gymnasium.make("CartPole-v1", max_episode_steps=4)
    make_vector = lambda n: Breaking([gymnasium.make("CartPole-v1", max_episode_steps=4) for _ in range(n)])
    return HostEnvironment("Breaking", one.observation_space, one.action_space, 4, make_vector)


def fail(error):
    """What an adapter makes of an environment's own error."""

    def raise_it():
        raise EnvironmentFailed("Breaking", "step", error, 7) from error

    return raise_it


@pytest.fixture
def breaking(tmp_path):
    """``breaking(at, error)`` trains on an environment that breaks at a step; returns what was raised."""

    def train(at, error, algorithm="ppo", config=SIZES, **more):
        Breaking.calls, Breaking.at, Breaking.act = 0, at, error
        env = make_breaking()
        options = {
            "env": env, "total_steps": 128, "config": config, "preset": "none", "num_intervals": 4,
            "num_evaluations": 1, "num_checkpoints": 1, "eval_episodes": 2, "out": tmp_path / "run", "progress": False,
        }  # fmt: skip
        with pytest.raises(BaseException) as raised:
            jaxrl.train(algorithm, **options | more)
        Breaking.at = None
        return raised.value, env

    return train


def steps_reported(directory):
    lines = (directory / "metrics.csv").read_text().splitlines()[1:]
    return [int(line.split(",")[0]) for line in lines]


class TestEnvironmentsThatRaise:
    def test_on_policy_the_last_iteration_is_saved_and_the_run_goes_on(self, breaking, tmp_path, capsys):
        # An evaluation takes 4 calls, an iteration 8, of two environments each, and an interval is two iterations. So
        # this is in the fourth one, in the midst of the second interval.
        error, env = breaking(IN_THE_FOURTH, fail(ValueError("the cart is gone")))
        out = tmp_path / "run"
        assert isinstance(error, EnvironmentBroke) and isinstance(error, UserError)
        assert isinstance(error.__cause__, EnvironmentFailed) and isinstance(error.__cause__.__cause__, ValueError)
        assert str(error) == (
            "Breaking raised ValueError in step after 7 steps: the cart is gone; the run was stopped at step 48; the "
            f"checkpoint of step 48 is kept, jaxrl train --resume {out} goes on from it; the traceback is in "
            f"{out / 'error.txt'}"
        )
        assert "ValueError: the cart is gone" in (out / "error.txt").read_text()
        assert Checkpoints(out / "checkpoints").steps() == [48] and steps_reported(out) == [0, 32]
        jaxrl.resume(out, env=env, progress=False)
        assert steps_reported(out) == [0, 32, 64, 96, 128] and not (out / "error.txt").exists()
        files = sorted((out / "tensorboard").iterdir())
        board = [e.step for path in files for e, _ in read_events(path) if e.HasField("summary")]
        assert board == [0, 32, 64, 96, 128]

    def test_off_policy_too(self, breaking, tmp_path):
        config = {
            "num_envs": 1, "hidden_sizes": (8,), "buffer_size": 64, "batch_size": 8, "prefill": 16,
            "steps_per_update": 4, "updates_per_iteration": 1, "target_update_period": 2,
        }  # fmt: skip
        # 16 steps of prefill, an evaluation of 4, iterations of 4: the second step of the tenth, which has learned.
        error, env = breaking(16 + 4 + 9 * 4 + 2, fail(OSError("gone")), "dqn", config)
        assert isinstance(error, EnvironmentBroke)
        assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [16 + 10 * 4]
        # Nor is eval's error a traceback.
        Breaking.calls, Breaking.at = 0, 3
        with pytest.raises(EnvironmentBroke, match=r"^Breaking raised OSError in step after 7 steps: gone \(--verbose"):
            jaxrl.evaluate_run(tmp_path / "run", env=env)
        Breaking.at = None


SPAWNED = """
import sys, gymnasium
from functools import partial
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from jaxrl.envs import from_vector

def make(context="spawn"):
    kinds = dict(context=context, autoreset_mode=AutoresetMode.SAME_STEP, shared_memory=False)
    one = partial(gymnasium.make, "CartPole-v1")
    return from_vector(lambda n: AsyncVectorEnv([one] * n, **kinds), name="CartPole")
"""


SLOW = [pytest.param(context, marks=pytest.mark.slow) for context in ("fork", "forkserver")]


@pytest.mark.parametrize("context", ["spawn", *SLOW])
def test_ctrl_c_to_the_whole_group_of_processes(context, tmp_path):
    (tmp_path / "workers.py").write_text(textwrap.dedent(SPAWNED))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "jaxrl", "train", "ppo", "--env", "workers:make", "--env.context", context]
    command += ["--total-steps", "1e7", "--num-intervals", "20000", "--num-evaluations", "1", "--num-checkpoints", "1"]
    command += ["--eval-episodes", "1", "--config.num_envs", "2", "--config.rollout_length", "32", "--out", str(out)]
    command += ["--config.num_minibatches", "2", "--config.num_epochs", "1", "--config.hidden_sizes", "8"]
    cache = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir or ""}
    process = subprocess.Popen(
        command, stdout=-1, stderr=-1, text=True, cwd=tmp_path, env={**os.environ, **cache}, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 300
        while not (out / "metrics.csv").exists() or len((out / "metrics.csv").read_text().splitlines()) < 4:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in error and error.count("stopping after this interval") == 1
    assert error.splitlines()[-1].endswith(f"jaxrl train --resume {out}")
    (step,) = Checkpoints(out / "checkpoints").steps()
    assert step == steps_reported(out)[-1]  # at the end of an interval: no worker has broken one off
    # No worker is left; what multiprocessing keeps beside them ends by itself.
    with pytest.raises(ProcessLookupError):
        for _ in range(200):
            os.killpg(process.pid, 0)
            time.sleep(0.05)
