"""Sweeps: every combination of some values times some seeds, in as few compiled programs as can be."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs import Environment
from jaxrl.experiment import folder
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.algorithm_fields import algorithm_module
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import UserError, as_user_error, environments_may_raise, writing
from jaxrl.experiment.interruptions import watched
from jaxrl.experiment.run import FINAL_EPISODES
from jaxrl.experiment.settings import RunSettings
from jaxrl.experiment.values import plain, unknown_name
from jaxrl.training.devices import devices_for
from jaxrl.training.memory import in_units, replay_bytes, require_memory

RESULTS, PICTURE, SWEEP = "results.csv", "sweep.png", "sweep.yaml"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One combination of the grid, and what came of it."""

    values: dict[str, Any]
    """The swept values, by name."""
    settings: RunSettings
    final_return: np.ndarray
    """``[num_seeds]`` mean return of the final deterministic episodes."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.final_return))


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """A finished sweep."""

    directory: Path
    settings: list[Setting]
    """From the best mean final return to the worst; those with NaN last."""
    seconds: float


@watched()
@environments_may_raise()
def sweep(
    algorithm: str,
    *,
    env: Any,
    grid: Mapping[str, Sequence[Any]],
    total_steps: int | None = None,
    num_seeds: int = 8,
    seed: int = 0,
    out: Path | str | None = None,
    preset: str | None = None,
    hp: Any = None,
    config: Any = None,
    env_parameters: Mapping[str, Any] | None = None,
    reward_shift: float | None = None,
    reward_scale: float | None = None,
    reward_clip: float | None = None,
    reward_log: bool | None = None,
) -> SweepResult:
    """Train with every combination of a grid's values, each with the same seeds, and compare.

    Combinations that differ in hyper-parameters alone are one compiled program; each configuration is another.

    Args:
        grid: values (or their text) by the name of a hyper-parameter or a field of the configuration.
        num_seeds: seeds of each combination.
        out: the folder; by default one below ``runs/``. It gets ``results.csv``, ``sweep.png`` and ``sweep.yaml``.
        algorithm, env, total_steps, seed, preset, hp, config, env_parameters: as in ``train``, and so are
            ``reward_shift``, ``reward_scale``, ``reward_clip`` and ``reward_log``.

    Raises:
        UserError: for anything that cannot be, before anything is written.
    """
    started = time.perf_counter()
    algorithm_module(algorithm)
    env_id, env = run_settings.named_env(env, env_parameters, algorithm, preset)
    common = {
        "total_steps": total_steps, "preset": preset, "env_parameters": env_parameters, "reward_shift": reward_shift,
        "reward_scale": reward_scale, "reward_clip": reward_clip, "reward_log": reward_log, "seed": seed,
        "num_seeds": num_seeds,
    }  # fmt: skip
    base = run_settings.make_settings(algorithm, env_id, hp=hp, config=config, **common)
    combinations = expand(base, grid)
    groups, replay = group(combinations), 0
    for members in groups:
        settings = members[0][1]
        built = run_settings.build(settings, env)
        folder.new_runner(settings, built)
        if isinstance(env, Environment):
            with as_user_error():
                lanes = len(members) * num_seeds
                require_memory(built.agent, lanes, len(devices_for(lanes)), env, FINAL_EPISODES)
            replay = max(replay, replay_bytes(built.agent, lanes))
    with folder.new(out or _default_directory(base)) as directory:
        say(
            f"{algorithm} on {env_id}, {base.total_steps:,} steps: {len(combinations)} settings x {num_seeds} seeds, "
            f"{len(groups)} compiled program{'s' * (len(groups) > 1)}; "
            + (f"preset {base.preset}" if base.preset else "the algorithm's defaults")
            + (f"; replay takes {in_units(replay)}" if replay else "")
        )
        done = [setting for members in groups for setting in _train(members, env)]
        done.sort(key=lambda s: (np.isnan(s.mean), -s.mean))
        result = SweepResult(directory, done, time.perf_counter() - started)
        _save(result, base, grid)
        return result


def expand(base: RunSettings, grid: Mapping[str, Sequence[Any]]) -> list[tuple[dict[str, Any], RunSettings]]:
    """Every combination of the grid's values, and the settings that it makes of the base's.

    Raises:
        UserError: for an unknown name, or a value that cannot be.
    """
    if not grid:
        raise UserError("the grid is empty: give at least one --grid NAME=a,b,c")
    known = [*base.hyperparameters, *base.config]
    axes = []
    for given, values in grid.items():
        name = given.removeprefix("hp.").removeprefix("config.")
        if name not in known:
            raise unknown_name(f"hyper-parameter or configuration field of {base.algorithm}", name, known)
        if not values:
            raise UserError(f"{name}: the grid has no values")
        is_hp = name in base.hyperparameters and not given.startswith("config.")
        axes.append([(name, is_hp, value) for value in values])
    combinations = []
    for point in itertools.product(*axes):
        settings = run_settings.make_settings(
            base.algorithm, base.env, base.total_steps, preset="none",
            hp={**base.hyperparameters, **{n: v for n, is_hp, v in point if is_hp}},
            config={**base.config, **{n: v for n, is_hp, v in point if not is_hp}},
            env_parameters=base.env_parameters, reward_shift=base.reward_shift, reward_scale=base.reward_scale,
            reward_clip=base.reward_clip, reward_log=base.reward_log, seed=base.seed, num_seeds=base.num_seeds,
        )  # fmt: skip
        settings = dataclasses.replace(settings, preset=base.preset)
        values = {n: (settings.hyperparameters if is_hp else settings.config)[n] for n, is_hp, _ in point}
        combinations.append((values, settings))
    return combinations


def group(combinations: list[tuple[dict[str, Any], RunSettings]]) -> list[list[tuple[dict[str, Any], RunSettings]]]:
    """The combinations that one program can do together: the same configuration, and schedules of the same form."""
    groups: dict[Any, list[tuple[dict[str, Any], RunSettings]]] = {}
    for values, settings in combinations:
        form = jax.tree.structure(dict(settings.hyperparameters))
        groups.setdefault((tuple(settings.config.items()), form), []).append((values, settings))
    return list(groups.values())


def _train(members: list[tuple[dict[str, Any], RunSettings]], env: Any) -> list[Setting]:
    """Train the members of a group, at once on a compiled environment and one by one on the host."""
    from jaxrl.training import make_train
    from jaxrl.training import sweep as sweep_lanes

    settings = members[0][1]
    agent = run_settings.build(settings, env).agent
    if not isinstance(env, Environment):
        return [_train_on_host(values, one, env) for values, one in members]
    hps = [run_settings.build(one, env).hp for _, one in members]
    together = jax.tree.map(lambda *x: x[0] if len(set(x)) == 1 else jnp.asarray(x, jnp.float32), *hps)
    train = make_train(
        agent, env, settings.total_steps, num_intervals=1, eval_episodes=FINAL_EPISODES,
        reward_transform=run_settings.reward_transform(settings),
    )  # fmt: skip
    evaluation = jax.device_get(sweep_lanes(train, seeds=settings.seeds, hyperparameters=together).evaluation)
    returns = evaluation.episode_return.mean(axis=-1).reshape(-1, settings.num_seeds)
    if len(returns) < len(members):  # the same combination more than once
        returns = np.broadcast_to(returns, (len(members), settings.num_seeds))
    return [Setting(values, one, row) for (values, one), row in zip(members, returns, strict=True)]


def _train_on_host(values: dict[str, Any], settings: RunSettings, env: Any) -> Setting:
    runner = folder.new_runner(settings, run_settings.build(settings, env))
    try:
        state, _ = runner.advance(runner.init(), runner.num_iterations)
        evaluation = runner.evaluate(state, FINAL_EPISODES)
    finally:
        runner.close()
    return Setting(values, settings, np.mean(evaluation.episode_return, axis=-1))


def _save(result: SweepResult, base: RunSettings, grid: Mapping[str, Sequence[Any]]) -> None:
    from jaxrl.experiment.sweep_plots import plot_sweep

    names = list(result.settings[0].values)
    with writing(result.directory):
        record = run_settings.to_dict(base) | {"grid": {k: [plain(v) for v in values] for k, values in grid.items()}}
        (result.directory / SWEEP).write_text(run_settings.to_yaml(record))
        with (result.directory / RESULTS).open("w", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow([*names, "seed", "final_return"])
            for setting in result.settings:
                for seed, value in zip(setting.settings.seeds, setting.final_return, strict=True):
                    lines.writerow([*map(text, setting.values.values()), seed, f"{value:.9g}"])
    shown = lambda v: v if isinstance(v, int | float) else text(v)
    table = [{**{k: shown(v) for k, v in s.values.items()}, "final_return": s.final_return} for s in result.settings]
    title = f"{base.algorithm} on {base.env}, {base.total_steps:,} steps"
    plot_sweep(table, result.directory / PICTURE, title)


def text(value: Any) -> str:
    """A swept value as one short text: ``0.001``, ``64,64``, ``linear(...)``."""
    value = plain(value)
    if isinstance(value, list):
        return ",".join(map(text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default_directory(base: RunSettings) -> Path:
    run = folder.default_directory(base)
    return Path("runs") / "sweeps" / run.relative_to("runs")
