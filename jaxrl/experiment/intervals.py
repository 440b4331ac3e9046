"""Training interval by interval, with a report after each, and what is saved when it cannot go on."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.errors import EnvironmentFailed
from jaxrl.envs.workers import worker_reports
from jaxrl.experiment import folder
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import EnvironmentBroke, UserError, one_line, write_traceback
from jaxrl.experiment.interruptions import Interrupted, Stop
from jaxrl.experiment.reports import mean_of_known, report_rows, trouble_in, untrained_rows, when_due, when_evaluated
from jaxrl.experiment.settings import RunSettings
from jaxrl.training import Evaluation, Metrics, Runner, interval_lengths
from jaxrl.types import PyTree

SECONDS_FOR_A_SIGNAL = 0.2
"""A signal to all processes may end a worker before it arrives here."""


class Diverged(UserError):
    """A loss or a parameter is no longer a finite number; the command line exits with status 1."""

    status = 1


@dataclasses.dataclass
class Clock:
    """Seconds of a run, over all the processes that worked on it."""

    started: float
    wall: float = 0.0
    """Of the processes before this one. Likewise the next."""
    compile: float = 0.0
    training: float = 0.0
    """Of collecting and learning, without compilation, evaluation and reports."""

    def wall_seconds(self) -> float:
        return self.wall + time.perf_counter() - self.started

    def record(self, runner: Runner) -> dict[str, float]:
        compiling = self.compile + runner.compile_seconds
        return {"wall": self.wall_seconds(), "compile": compiling, "training": self.training}

    @contextlib.contextmanager
    def train(self, runner: Runner) -> Iterator[None]:
        """Count the block as training, but for what it compiles."""
        start, compiled = time.perf_counter(), runner.compile_seconds
        yield
        self.training += time.perf_counter() - start - (runner.compile_seconds - compiled)


class Intervals:
    """What is left of a run's training; a context manager.

    Args:
        opened: the run.
        clock: its seconds so far.
        stop: looked at after each interval.
        wandb: a project of Weights & Biases, or None.
        progress: whether to show how far it is.
    """

    def __init__(self, opened: folder.Opened, clock: Clock, stop: Stop, wandb: str | None, progress: bool):
        from jaxrl.experiment.progress import Progress

        self.directory, self.settings, _, self.runner, self.state, self.step, metadata = opened
        self.clock, self.stop = clock, stop
        self.reached: bool = metadata.get("reached", False)
        """Whether the return to stop at was reached."""
        self.evaluation: Evaluation | None = None
        """Of the present state, if there was one in this process."""
        self._whole = self.state is not None
        """False while ``state`` is in use: it is donated."""
        self._saved_step = self.step if self._whole else -1
        """Of the checkpoint that holds the latest saved state of this history."""
        self._unreported: tuple[Metrics, float] | None = None
        """Metrics and rate of an interval that is done."""
        self._loggers = _loggers(self.directory, self.settings, wandb)
        self._checkpoints = Checkpoints(self.directory / folder.CHECKPOINTS)
        self._bar = Progress(
            self.runner.steps_after(self.runner.num_iterations), self.step,
            f"{self.settings.algorithm} {self.settings.env}", progress, num_seeds=self.settings.num_seeds,
            compile_clock=self.runner.compile_clock,
        )  # fmt: skip
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Intervals:
        self._stack.callback(self._loggers.close)
        self._stack.callback(self._checkpoints.close)
        self._stack.enter_context(self._bar)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def run(self) -> None:
        """Train to the end.

        Raises:
            Diverged, Interrupted, EnvironmentBroke: as ``train``.
        """
        with worker_reports() as told:
            try:
                self._run()
            except (UserError, Interrupted):
                raise
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                for text in told:
                    error.add_note(text)
                self._give_up(error)
                raise

    def _run(self) -> None:
        self._start()
        self._bar.start(self.runner.steps_after(self.runner.iterations_done(self.state)))
        lengths = interval_lengths(self.runner.num_iterations, self.settings.num_intervals)
        count = len(lengths)
        ends = [self.runner.steps_after(end) for end in itertools.accumulate(lengths)]
        folder.tell_of_missing_rows(self.directory, [end for end in ends if end <= self.step], self.settings.seeds)
        evaluated = when_evaluated(count, self.settings.num_evaluations)
        saved = when_due(count, self.settings.num_checkpoints)
        for i, end in enumerate(itertools.accumulate(lengths)):
            # A checkpoint in the midst of an interval is that of an environment that raised.
            left = end - self.runner.iterations_done(self.state)
            if left <= 0:
                continue
            if self.reached:
                break
            if self.stop.signum is not None:
                self._save_if_newer(self.state)
                raise Interrupted(self.directory, self.step, self.stop.signum)
            self._interval(left, evaluated[i], saved[i])

    def _start(self) -> None:
        """Begin the run, or drop the reports of what it does again."""
        if self.state is not None:
            self._loggers.truncate_after(self.step)
            return
        with self.clock.train(self.runner):
            # Waited for, so that the prefill's time counts as training and not as the evaluation's.
            self.state = jax.block_until_ready(self.runner.init())
        self._loggers.truncate_after(-1)
        evaluation = self.runner.evaluate(self.state)
        self._loggers.write(untrained_rows(evaluation, self.settings.seeds, self.clock.wall_seconds()))

    def _interval(self, iterations: int, evaluated: bool, saved: bool) -> None:
        settings, trained = self.settings, self.clock.training
        with self.clock.train(self.runner):
            self._whole = False
            self.state, metrics = self.runner.advance(self.state, iterations)
            self._whole = True
        seconds = max(self.clock.training - trained, 1e-9)
        self._unreported = metrics, iterations * self.runner.steps_per_iteration * settings.num_seeds / seconds
        trouble, goal = trouble_in(metrics, settings.seeds), settings.stop_at_return
        self.reached = goal is not None and float(np.mean(metrics.episode_return)) >= goal
        self.evaluation = None
        if (evaluated or self.reached) and trouble is None:
            self.evaluation = self.runner.evaluate(self.state)
        self._report()
        if trouble is not None:
            raise Diverged(self._last_words(trouble))
        if saved or self.reached or self.stop.signum is not None:
            self._save(self.state)
        if self.reached:
            mean_return = mean_of_known(metrics.episode_return)
            say(f"the training episodes' mean return of {mean_return:.4g} is what the run was to stop at")

    def _report(self) -> None:
        (metrics, rate), self._unreported = self._unreported, None
        self.step = self.runner.steps_after(self.runner.iterations_done(self.state))
        seconds = self.clock.wall_seconds()
        self._loggers.write(report_rows(metrics, self.evaluation, self.settings.seeds, self.step, seconds, rate))
        self._bar.update(
            self.step, mean_of_known(metrics.episode_return), mean_of_known(metrics.losses.get("loss", math.nan))
        )

    def _save_if_newer(self, state: PyTree) -> None:
        self.step = self.runner.steps_after(self.runner.iterations_done(state))
        if self.step > self._saved_step:
            self._save(state)

    def _save(self, state: PyTree) -> None:
        evaluation = self.evaluation
        metadata = {
            "settings": run_settings.to_dict(self.settings),
            "versions": folder.versions(),
            "clock": self.clock.record(self.runner),
            "reached": self.reached,
        }
        steps = self.runner.steps_after(self.runner.iterations_done(state))
        self._loggers.flush()  # what lies before a checkpoint is not written again
        self._checkpoints.save(
            steps, state, metadata, None if evaluation is None else float(np.mean(evaluation.episode_return))
        )
        self._saved_step = steps

    def _give_up(self, error: BaseException) -> None:
        """Save what is whole after an error of an environment, and tell of it; other errors are left to be raised."""
        if self.stop.at_once:
            return
        if self.stop.signum is None and self.runner.is_host:
            time.sleep(SECONDS_FOR_A_SIGNAL)
        saved = self._salvage()
        path = None if isinstance(error, KeyboardInterrupt) else write_traceback(self.directory, error)
        if self.stop.signum is not None or isinstance(error, KeyboardInterrupt):
            # As a rule it was the environment's workers that the signal ended first.
            raise Interrupted(self.directory, saved or 0, self.stop.signum or signal.SIGINT) from error
        if isinstance(error, EnvironmentFailed | SystemExit):
            text = one_line(error) if isinstance(error, EnvironmentFailed) else "the environment called sys.exit()"
            left = "there is no checkpoint yet"
            if saved is not None:
                left = f"the checkpoint of step {saved} is kept, jaxrl train --resume {self.directory} goes on from it"
            where = "" if path is None else f"; the traceback is in {path}"
            raise EnvironmentBroke(f"{text}; the run was stopped at step {self.step}; {left}{where}") from error

    def _salvage(self) -> int | None:
        """Save the last state that is whole, if it is newer than the last checkpoint; returns that one's step."""
        with contextlib.suppress(Exception):
            state = self.state if self._whole else self.runner.salvaged()
            if state is not None and _is_finite(state.agent):
                if self._unreported is not None:
                    self._report()
                self.evaluation = None
                self._save_if_newer(state)
        return self._saved_step if self._saved_step >= 0 else None

    def _last_words(self, trouble: tuple[str, int]) -> str:
        name, seed = trouble
        good, left = self._checkpoints.steps(), "there is no checkpoint yet"
        if good:
            left = f"the last good checkpoint is {self._checkpoints.directory / str(good[-1])}"
        return f"{name} of seed {seed} is no longer finite at step {self.step}, so the run was stopped; {left}"


def _is_finite(agent: PyTree) -> bool:
    """True if the parameters are: an environment may have raised because they are not."""
    leaves = [x for x in jax.tree.leaves(getattr(agent, "params", agent)) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return all(bool(jnp.isfinite(x).all()) for x in leaves)


def _loggers(directory: Path, settings: RunSettings, wandb: str | None) -> Any:
    from jaxrl.experiment.loggers import ConsoleLogger, CSVLogger, MultiLogger, WandbLogger
    from jaxrl.experiment.tensorboard import TensorBoardLogger

    board = TensorBoardLogger(directory / folder.TENSORBOARD)
    loggers = [CSVLogger(directory / folder.METRICS), board, ConsoleLogger()]
    if wandb is not None:
        loggers.append(WandbLogger(wandb, run_settings.to_dict(settings), directory))
    return MultiLogger(loggers)
