"""Runs: training with reports, evaluations and checkpoints, and all that is worth keeping in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxrl.experiment import folder, lock
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.algorithm_fields import algorithm_module
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import TRACEBACK, EnvironmentBroke, UserError, environments_may_raise
from jaxrl.experiment.interruptions import Interrupted, Stop, watched
from jaxrl.experiment.intervals import Clock, Diverged, Intervals
from jaxrl.experiment.settings import RunSettings
from jaxrl.experiment.values import shown
from jaxrl.training import Evaluation
from jaxrl.training.memory import in_units, replay_bytes
from jaxrl.types import Algorithm, PyTree

__all__ = [
    "Diverged", "EnvironmentBroke", "EvaluationReport", "Interrupted", "RunResult", "evaluate_run", "resume", "train",
]  # fmt: skip

FINAL_EPISODES = 32
"""Least number of deterministic episodes for the final return of each seed."""


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
        EnvironmentBroke: when an environment raises; likewise. Its traceback is in the folder, too.
    """
    started = time.perf_counter()
    with watched() as stop, environments_may_raise():
        algorithm_module(algorithm)
        if not isinstance(out, str | os.PathLike | None):
            raise UserError(f"out={shown(out)}: must be the path of a folder")
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
            return _run(opened, Clock(started), stop, wandb, progress)


def resume(
    directory: Path | str, *, env: Any = None, wandb: str | None = None, progress: bool = True, **given: Any
) -> RunResult:
    """Go on with a run from its last good checkpoint; on compiled environments, bit for bit as if it had not stopped.

    Args:
        directory: the run's folder.
        env: the environment, if the run was started with an environment and not with an id; or its id once more, if
            it is a ``module:factory`` outside of the current directory, whose code only the user may have run.
        wandb: see ``train``.
        progress: see ``train``.
        **given: arguments of ``train`` that must agree with the run's settings; None where there are none.

    Raises:
        UserError: if there is no run to resume, or it has other settings. Otherwise as ``train``.
    """
    started = time.perf_counter()
    with watched() as stop, environments_may_raise():
        directory = Path(directory)
        settings = run_settings.load(directory)
        run_settings.require_same(settings, given)
        if (summary := folder.read_summary(directory)) is None:
            with lock.held(directory):
                # Who had it locked may just have finished.
                if (summary := folder.read_summary(directory)) is None:
                    return _go_on(directory, env, Clock(started), stop, wandb, progress)
        opened = folder.open_run(directory, env=env)
        say(f"{directory} is finished, at step {opened.step}: there is nothing left to resume")
        return RunResult(directory, settings, summary, opened.built.agent, opened.built.env, opened.state)


def _go_on(
    directory: Path, env: Any, clock: Clock, stop: Stop, wandb: str | None, progress: bool
) -> RunResult:
    opened = folder.open_run(directory, env=env, fresh=True)
    old, new = opened.metadata.get("versions", {}), folder.versions()
    if changed := [f"{name} {old[name]} -> {new.get(name)}" for name in old if old[name] != new.get(name)]:
        say(f"other versions than before, so the last digits may differ: {', '.join(changed)}")
    say(f"resuming {directory} at step {opened.step} of {opened.settings.total_steps}")
    if opened.state is not None:
        opened = opened._replace(state=opened.runner.restored(opened.state))
    clock = dataclasses.replace(clock, **opened.metadata.get("clock", {}))
    return _run(opened, clock, stop, wandb, progress)


@watched()
@environments_may_raise()
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


def _run(opened: folder.Opened, clock: Clock, stop: Stop, wandb: str | None, progress: bool) -> RunResult:
    """Do what is left of a run, then sum it up."""
    directory, settings, built, runner, *_ = opened
    (directory / TRACEBACK).unlink(missing_ok=True)
    stop.deferred = True
    with contextlib.closing(runner), Intervals(opened, clock, stop, wandb, progress) as intervals:
        intervals.run()
        state, evaluation = intervals.state, intervals.evaluation
        if evaluation is None or settings.eval_episodes < FINAL_EPISODES:
            evaluation = runner.evaluate(state, max(FINAL_EPISODES, settings.eval_episodes))
        # Before anything else that may fail: what is closed below, and the picture.
        summary = _summary(opened, state, evaluation, clock)
        folder.write_json(directory / folder.SUMMARY, summary)
        stop.deferred = False
    _draw(directory)
    return RunResult(directory, settings, summary, built.agent, built.env, state)


def _summary(opened: folder.Opened, state: PyTree, evaluation: Evaluation, clock: Clock) -> dict[str, Any]:
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


def _introduction(settings: RunSettings, built: run_settings.Built, asked: str | None) -> str:
    seeds = f"seed {settings.seed}" if settings.num_seeds == 1 else f"seeds {settings.seeds[0]} to {settings.seeds[-1]}"
    preset = "the algorithm's defaults"
    if settings.preset is not None:
        preset = f"preset {settings.preset}" + (", tuned for it" if asked is None else "")
    text = f"{settings.algorithm} on {settings.env}, {settings.total_steps:,} steps, {seeds}; {preset}"
    nbytes = replay_bytes(built.agent, settings.num_seeds)
    return f"{text}; replay takes {in_units(nbytes)}" if nbytes else text


def _require_wandb(project: str | None) -> None:
    """Raise before anything is written, if what the user asks for is not installed."""
    if project is not None and importlib.util.find_spec("wandb") is None:
        raise UserError("logging to Weights & Biases needs wandb: pip install 'jaxrl[wandb]'")
