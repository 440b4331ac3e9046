"""Runs: training with reports, evaluations and checkpoints, and all that is worth keeping in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxrl.experiment import folder, lock
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.settings import RunSettings
from jaxrl.training import Evaluation, Metrics, Runner, interval_lengths
from jaxrl.training.memory import in_units, replay_bytes
from jaxrl.types import Algorithm, PyTree

FINAL_EPISODES = 32
"""Least number of deterministic episodes for the final return of each seed."""
EPISODES = ("episode_return", "episode_return_min", "episode_return_max", "episode_length")
"""Columns of ``metrics.csv`` about the training episodes that ended in an interval."""


class Diverged(UserError):
    """A loss or a parameter is no longer a finite number; the command line exits with status 1."""

    status = 1


class Interrupted(KeyboardInterrupt):
    """The run was stopped by a signal, after it had saved a checkpoint."""

    def __init__(self, directory: Path, steps: int, signum: int):
        self.directory, self.steps, self.signum = directory, steps, signum
        super().__init__(f"stopped at step {steps}; go on with: jaxrl train --resume {directory}")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """A finished run."""

    directory: Path
    settings: RunSettings
    summary: dict[str, Any]
    """What ``summary.json`` holds."""
    agent: Algorithm
    env: Any
    state: PyTree
    """The final training state; each leaf has a leading axis of seeds."""

    @property
    def final_return(self) -> np.ndarray:
        """``[num_seeds]`` mean return of each seed over the final deterministic episodes."""
        return np.asarray(self.summary["final_return"])


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """An evaluation of a run's checkpoint."""

    settings: RunSettings
    step: int
    """Environment steps of the checkpoint."""
    evaluation: Evaluation
    """Leaves ``[num_seeds, episodes]``."""


def train(
    algorithm: str,
    *,
    env: Any,
    total_steps: int | None = None,
    seed: int = 0,
    num_seeds: int = 1,
    out: Path | str | None = None,
    preset: str | None = None,
    hp: Any = None,
    config: Any = None,
    env_parameters: Mapping[str, Any] | None = None,
    reward_shift: float | None = None,
    reward_scale: float | None = None,
    reward_clip: float | None = None,
    reward_log: bool | None = None,
    num_intervals: int | None = None,
    num_evaluations: int | None = None,
    num_checkpoints: int | None = None,
    eval_episodes: int | None = None,
    stop_at_return: float | None = None,
    wandb: str | None = None,
    progress: bool = True,
) -> RunResult:
    """Train an algorithm on an environment and keep what matters in a folder.

    Args:
        algorithm: ``"ppo"``, ``"dqn"``, ... (``jaxrl list``).
        env: an id for ``jaxrl.envs.make``, or an environment.
        total_steps: environment steps of each seed; by default the preset's.
        seed: the first seed.
        num_seeds: how many runs to do side by side, with seeds counting on from the first.
        out: the folder; by default one below ``runs/``.
        preset: see ``settings.make_settings``; by default the one tuned for this algorithm and environment.
        hp: hyper-parameters that differ, by name, or an instance of the algorithm's ``Hyperparameters``.
        config: configuration that differs, by name, or an instance of the algorithm's ``Config``.
        env_parameters: keyword arguments of ``jaxrl.envs.make``.
        reward_shift: what is added to the reward before it is learned from.
        reward_scale: what it is multiplied with, after that.
        reward_clip: bound of the absolute reward, after that; infinity for none where the preset has one.
        reward_log: whether to learn from the logarithm of what comes of it, which must be positive.
        num_intervals: reports of the run (100).
        num_evaluations: evenly spaced evaluations of the run (10); to these come one before training and a third as
            many early ones.
        num_checkpoints: checkpoints of the run (10).
        eval_episodes: episodes of an evaluation (32).
        stop_at_return: end the run with the first report whose training episodes have this mean return, over the seeds.
        wandb: a project of Weights & Biases to log to.
        progress: whether to show how far it is.

    Raises:
        UserError: for anything that cannot be, before anything is written.
        Diverged: when a loss or a parameter is no longer finite; the last good checkpoint stays.
        Interrupted: after SIGINT or SIGTERM; ``resume`` goes on from there.
    """
    started = time.perf_counter()
    run_settings.algorithm_module(algorithm)
    env_object = not isinstance(env, str)
    env_id, env = run_settings.named_env(env, env_parameters, algorithm, preset)
    settings = run_settings.make_settings(
        algorithm, env_id, total_steps, preset=preset, hp=hp, config=config, env_parameters=env_parameters,
        reward_shift=reward_shift, reward_scale=reward_scale, reward_clip=reward_clip, reward_log=reward_log,
        env_object=env_object, seed=seed, num_seeds=num_seeds, num_intervals=num_intervals,
        num_evaluations=num_evaluations, num_checkpoints=num_checkpoints, eval_episodes=eval_episodes,
        stop_at_return=stop_at_return,
    )  # fmt: skip
    built = run_settings.build(settings, env)
    runner = folder.new_runner(settings, built)
    _require_wandb(wandb)
    with folder.new(out or folder.default_directory(settings)) as directory:
        run_settings.save(settings, directory)
        say(_introduction(settings, built, preset))
        opened = folder.Opened(directory, settings, built, runner, None, 0, {})
        return _run(opened, _Clock(started), wandb, progress)


def resume(
    directory: Path | str, *, env: Any = None, wandb: str | None = None, progress: bool = True, **given: Any
) -> RunResult:
    """Go on with a run from its last good checkpoint; on compiled environments, bit for bit as if it had not stopped.

    Args:
        directory: the run's folder.
        env: the environment, if the run was started with an environment and not with an id.
        wandb: see ``train``.
        progress: see ``train``.
        **given: arguments of ``train`` that must agree with the run's settings; None where there are none.

    Raises:
        UserError: if there is no run to resume, or it has other settings. Otherwise as ``train``.
    """
    started = time.perf_counter()
    directory = Path(directory)
    settings = run_settings.load(directory)
    run_settings.require_same(settings, given)
    if (summary := folder.read_summary(directory)) is None:
        with lock.held(directory):
            # Who had it locked may just have finished.
            if (summary := folder.read_summary(directory)) is None:
                return _go_on(directory, env, _Clock(started), wandb, progress)
    opened = folder.open_run(directory, env=env)
    say(f"{directory} is finished, at step {opened.step}: there is nothing left to resume")
    return RunResult(directory, settings, summary, opened.built.agent, opened.built.env, opened.state)


def _go_on(directory: Path, env: Any, clock: _Clock, wandb: str | None, progress: bool) -> RunResult:
    opened = folder.open_run(directory, env=env, fresh=True)
    old, new = opened.metadata.get("versions", {}), folder.versions()
    if changed := [f"{name} {old[name]} -> {new.get(name)}" for name in old if old[name] != new.get(name)]:
        say(f"other versions than before, so the last digits may differ: {', '.join(changed)}")
    say(f"resuming {directory} at step {opened.step} of {opened.settings.total_steps}")
    if opened.state is not None:
        opened = opened._replace(state=opened.runner.restored(opened.state))
    clock = dataclasses.replace(clock, **opened.metadata.get("clock", {}))
    return _run(opened, clock, wandb, progress)


def evaluate_run(
    directory: Path | str,
    *,
    num_episodes: int | None = None,
    deterministic: bool = True,
    checkpoint: int | Literal["latest", "best"] = "latest",
    env: Any = None,
) -> EvaluationReport:
    """Play whole episodes with the policies of a run.

    Args:
        directory: the run's folder.
        num_episodes: for each seed; by default as many as in the run's evaluations.
        deterministic: whether to act without exploration.
        checkpoint: ``"latest"``, ``"best"`` or a number of steps.
        env: see ``resume``.

    Raises:
        UserError: if there is no such run or checkpoint.
    """
    if num_episodes is not None and num_episodes < 1:
        raise UserError(f"episodes={num_episodes}: must be positive")
    opened = folder.open_run(directory, env=env, checkpoint=checkpoint)
    with contextlib.closing(opened.runner):
        evaluation = opened.runner.evaluate(opened.state, num_episodes, deterministic)
    return EvaluationReport(opened.settings, opened.step, evaluation)


@dataclasses.dataclass
class _Clock:
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


def _run(opened: folder.Opened, clock: _Clock, wandb: str | None, progress: bool) -> RunResult:
    """Do what is left of a run, then sum it up."""
    directory, settings, built, runner, state, *_ = opened
    with contextlib.ExitStack() as stack:
        stack.callback(runner.close)
        stop = stack.enter_context(_stop_signals())
        state, evaluation = _intervals(opened, clock, wandb, progress, stop, stack)
        if evaluation is None or settings.eval_episodes < FINAL_EPISODES:
            evaluation = runner.evaluate(state, max(FINAL_EPISODES, settings.eval_episodes))
        # Before anything else that may fail: what is closed below, and the picture.
        summary = _summary(opened, state, evaluation, clock)
        folder.write_json(directory / folder.SUMMARY, summary)
    _draw(directory)
    return RunResult(directory, settings, summary, built.agent, built.env, state)


def _summary(opened: folder.Opened, state: PyTree, evaluation: Evaluation, clock: _Clock) -> dict[str, Any]:
    settings, runner = opened.settings, opened.runner
    steps = runner.steps_after(runner.iterations_done(state))
    return {
        "algorithm": settings.algorithm,
        "env": settings.env,
        "total_steps": settings.total_steps,
        "steps": steps,
        "num_seeds": settings.num_seeds,
        "final_return": [float(x) for x in np.mean(evaluation.episode_return, axis=-1)],
        "wall_seconds": round(clock.wall_seconds(), 3),
        "compile_seconds": round(clock.compile + runner.compile_seconds, 3),
        "steps_per_second": round(steps * settings.num_seeds / max(clock.training, 1e-9), 1),
        "versions": folder.versions(),
        "device": folder.device(),
    }


def _draw(directory: Path) -> None:
    """Draw the learning curve; a run is finished without it, too."""
    try:
        from jaxrl.experiment.plots import plot_curve

        plot_curve(directory)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"the learning curve could not be drawn ({reason}); jaxrl plot {directory} draws it")


def _intervals(
    opened: folder.Opened, clock: _Clock, wandb: str | None, progress: bool, stop: _Stop, stack: contextlib.ExitStack
) -> tuple[PyTree, Evaluation | None]:
    """Train interval by interval; which of them end in an evaluation or a checkpoint follows from the settings alone.

    Returns the final state, and its evaluation if there was one in this process.
    """
    from jaxrl.experiment.progress import Progress

    directory, settings, _, runner, state, step, _ = opened
    lengths = interval_lengths(runner.num_iterations, settings.num_intervals)
    evaluated, saved = _evaluated(len(lengths), settings.num_evaluations), _due(len(lengths), settings.num_checkpoints)
    loggers = _loggers(directory, settings, wandb)
    stack.callback(loggers.close)
    bar = Progress(
        runner.steps_after(runner.num_iterations), step, f"{settings.algorithm} {settings.env}", progress,
        num_seeds=settings.num_seeds, compile_clock=runner.compile_clock,
    )  # fmt: skip
    stack.enter_context(bar)
    if state is None:
        with clock.train(runner):
            # Waited for, so that the prefill's time counts as training and not as the evaluation's.
            state = jax.block_until_ready(runner.init())
        loggers.truncate_after(-1)
        loggers.write(_untrained_rows(runner.evaluate(state), settings.seeds, clock.wall_seconds()))
    else:
        loggers.truncate_after(step)
    done = runner.iterations_done(state)
    first = next(i for i in range(len(lengths) + 1) if sum(lengths[:i]) >= done)

    checkpoints = Checkpoints(directory / folder.CHECKPOINTS)
    stack.callback(checkpoints.close)

    evaluation, reached = None, opened.metadata.get("reached", False)
    for i in range(first, first if reached else len(lengths)):
        trained = clock.training
        with clock.train(runner):
            state, metrics = runner.advance(state, lengths[i])
        done += lengths[i]
        steps = runner.steps_after(done)
        rate = lengths[i] * runner.steps_per_iteration * settings.num_seeds / max(clock.training - trained, 1e-9)
        trouble = _trouble(metrics, settings.seeds)
        mean_return, goal = _mean(metrics.episode_return), settings.stop_at_return
        reached = goal is not None and float(np.mean(metrics.episode_return)) >= goal
        evaluation = runner.evaluate(state) if (evaluated[i] or reached) and trouble is None else None
        loggers.write(_rows(metrics, evaluation, settings.seeds, steps, clock.wall_seconds(), rate))
        bar.update(steps, mean_return, _mean(metrics.losses.get("loss", math.nan)))
        if trouble is not None:
            raise Diverged(_last_words(trouble, steps, checkpoints))
        if saved[i] or reached or stop.signum is not None:
            score = None if evaluation is None else float(np.mean(evaluation.episode_return))
            metadata = {
                "settings": run_settings.to_dict(settings),
                "versions": folder.versions(),
                "clock": clock.record(runner),
                "reached": reached,
            }
            loggers.flush()  # what lies before a checkpoint is not written again
            checkpoints.save(steps, state, metadata, score)
        if reached:
            say(f"the training episodes' mean return of {mean_return:.4g} is what the run was to stop at")
            break
        if stop.signum is not None and i + 1 < len(lengths):
            raise Interrupted(directory, steps, stop.signum)
    return state, evaluation


def _due(num_intervals: int, count: int) -> list[bool]:
    """After which intervals something is due that shall happen ``count`` times, the last time at the end."""
    return [(i + 1) * count // num_intervals > i * count // num_intervals for i in range(num_intervals)]


def _evaluated(num_intervals: int, count: int) -> list[bool]:
    """After which intervals there is an evaluation: ``count`` of them evenly spaced, and a few more early.

    The early ones are at a half, a quarter, ... of the first of the even ones, where a curve rises most. There are a
    third as many of them, so that they cost little beside the others.
    """
    due = _due(num_intervals, count)
    early = due.index(True) + 1
    for _ in range(min(count // 3, early.bit_length() - 1)):
        early //= 2
        due[early - 1] = True
    return due


def _untrained_rows(evaluation: Evaluation, seeds: list[int], seconds: float) -> list[dict[str, float | int]]:
    """Rows of step 0: the return of the policy as it was initialised."""
    common = {"steps_per_second": math.nan, "episodes": 0}
    common |= dict.fromkeys(EPISODES, math.nan)
    return [
        {"steps": 0, "seed": seed, "seconds": round(seconds, 3), **common, "eval_return": float(np.mean(returns))}
        for seed, returns in zip(seeds, evaluation.episode_return, strict=True)
    ]


def _rows(
    metrics: Metrics, evaluation: Evaluation | None, seeds: list[int], steps: int, seconds: float, rate: float
) -> list[dict[str, float | int]]:
    """One row of ``metrics.csv`` for each seed."""
    rows = []
    for i, seed in enumerate(seeds):
        row = {"steps": steps, "seed": seed, "seconds": round(seconds, 3), "steps_per_second": round(rate, 1)}
        row["episodes"] = int(metrics.episodes[i])
        for name in EPISODES:
            row[name] = float(getattr(metrics, name)[i])
        row |= {name: float(values[i]) for name, values in metrics.losses.items()}
        row["eval_return"] = math.nan if evaluation is None else float(np.mean(evaluation.episode_return[i]))
        rows.append(row)
    return rows


def _trouble(metrics: Metrics, seeds: list[int]) -> tuple[str, int] | None:
    """The name of a metric that is not finite, and its seed; or None."""
    for name, values in [*metrics.losses.items(), ("parameters", np.where(metrics.finite, 0.0, math.nan))]:
        for seed, value in zip(seeds, values, strict=True):
            if not math.isfinite(value):
                return name, seed
    return None


def _last_words(trouble: tuple[str, int], steps: int, checkpoints: Checkpoints) -> str:
    name, seed = trouble
    good = checkpoints.steps()
    left = (
        f"the last good checkpoint is {checkpoints.directory / str(good[-1])}" if good else "there is no checkpoint yet"
    )
    return f"{name} of seed {seed} is no longer finite at step {steps}, so the run was stopped; {left}"


def _mean(values: Any) -> float:
    """The mean of those seeds that have a value."""
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _introduction(settings: RunSettings, built: run_settings.Built, asked: str | None) -> str:
    seeds = f"seed {settings.seed}" if settings.num_seeds == 1 else f"seeds {settings.seeds[0]} to {settings.seeds[-1]}"
    preset = "the algorithm's defaults"
    if settings.preset is not None:
        preset = f"preset {settings.preset}" + (", tuned for it" if asked is None else "")
    text = f"{settings.algorithm} on {settings.env}, {settings.total_steps:,} steps, {seeds}; {preset}"
    nbytes = replay_bytes(built.agent, settings.num_seeds)
    return f"{text}; replay takes {in_units(nbytes)}" if nbytes else text


def _loggers(directory: Path, settings: RunSettings, wandb: str | None) -> Any:
    from jaxrl.experiment.loggers import ConsoleLogger, CSVLogger, MultiLogger, WandbLogger
    from jaxrl.experiment.tensorboard import TensorBoardLogger

    board = TensorBoardLogger(directory / folder.TENSORBOARD)
    loggers = [CSVLogger(directory / folder.METRICS), board, ConsoleLogger()]
    if wandb is not None:
        loggers.append(WandbLogger(wandb, run_settings.to_dict(settings), directory))
    return MultiLogger(loggers)


def _require_wandb(project: str | None) -> None:
    """Raise before anything is written, if what the user asks for is not installed."""
    if project is not None and importlib.util.find_spec("wandb") is None:
        raise UserError("logging to Weights & Biases needs wandb: pip install 'jaxrl[wandb]'")


@dataclasses.dataclass
class _Stop:
    """Which signal asked the run to stop, if one did."""

    signum: int | None = None


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Turn the first SIGINT or SIGTERM into a wish that the loop sees; the second one stops at once."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handler(signum: int, frame: Any) -> None:
        if stop.signum is not None:
            raise KeyboardInterrupt
        stop.signum = signum
        say("stopping after this interval, with a checkpoint (once more to stop at once)")

    previous = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for s, old in previous.items():
            signal.signal(s, old)
