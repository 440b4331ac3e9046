"""The folder of a run: where each file lies, and how to make, open and describe one."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxrl.experiment import lock
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.checkpoints import CheckpointError, Checkpoints
from jaxrl.experiment.console import say
from jaxrl.experiment.errors import UserError, as_user_error, unused, writing
from jaxrl.experiment.settings import Built, RunSettings
from jaxrl.experiment.text_files import read_json, read_table
from jaxrl.experiment.trust import require_trusted
from jaxrl.training import Runner, make_runner
from jaxrl.training.memory import in_units
from jaxrl.types import PyTree

METRICS, SUMMARY = "metrics.csv", "summary.json"
CHECKPOINTS, TENSORBOARD = "checkpoints", "tensorboard"

PACKAGES = ("jaxrl", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint", "gymnasium", "gymnax")


MOST_REPORTS = 1_000_000
ROW_BYTES, REPORT_SECONDS = 150, 1e-3
"""A row of ``metrics.csv`` and a report take about as much, at least."""
ANEW = "remove it to have it written anew by --resume"


class Opened(NamedTuple):
    """A run that was read back from its folder."""

    directory: Path
    settings: RunSettings
    built: Built
    runner: Runner
    state: PyTree
    step: int
    metadata: dict[str, Any]


def default_directory(settings: RunSettings) -> Path:
    """``runs/ALGORITHM/ENV/DATE-TIME_sSEED``, one that is not there yet."""
    env = "".join(c if c.isalnum() or c in "-_." else "-" for c in settings.env)
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return unused(Path("runs") / settings.algorithm / env / f"{now}_s{settings.seed}")


@contextlib.contextmanager
def new(directory: Path | str) -> Iterator[Path]:
    """Make the folder of a new run, and have it to oneself while the block lasts.

    Raises:
        UserError: if there is something in it, somebody else works there, or it cannot be made.
    """
    directory = Path(directory)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        _require_empty(directory)
    with lock.held(directory):
        _require_empty(directory)
        yield directory


def _require_empty(directory: Path) -> None:
    # A process that was killed at its very beginning left no run.
    left = (lock.FILE, f".{run_settings.FILE}.new")
    if any(path.name not in left for path in directory.iterdir()):
        lock.require_free(directory)
        resume = ", or go on with the run in it (--resume)" if (directory / run_settings.FILE).exists() else ""
        raise UserError(f"{directory} is not empty, and nothing is written over: choose another --out{resume}")


def new_runner(settings: RunSettings, built: Built) -> Runner:
    """The runner that the settings describe.

    Raises:
        UserError: if the run cannot be, such as one that is shorter than its prefill.
    """
    env, num_envs = built.env, built.agent.feed.num_envs
    if num_envs % (agents := getattr(env, "num_agents", 1)):
        raise UserError(f"num_envs={num_envs}: must be a multiple of the {agents} agents of {env.name}, each a row")
    if (only := getattr(env, "num_envs", None)) not in (None, num_envs):
        raise UserError(f"num_envs={num_envs}: {env.name} is a vector environment of {only}")
    with as_user_error():
        runner = make_runner(
            built.agent, built.env, settings.total_steps, settings.seeds, built.hp,
            eval_episodes=settings.eval_episodes, reward_transform=run_settings.reward_transform(settings),
        )  # fmt: skip
    if (reports := min(settings.num_intervals, runner.num_iterations)) > MOST_REPORTS:
        nbytes, hours = in_units(reports * settings.num_seeds * ROW_BYTES), reports * REPORT_SECONDS / 3600
        raise UserError(
            f"num_intervals={settings.num_intervals:,}: so many reports take at least {nbytes} of {METRICS} and "
            f"{hours:,.1f} hours to write; choose {MOST_REPORTS:,} or fewer"
        )
    return runner


def open_run(
    directory: Path | str,
    *,
    env: Any = None,
    checkpoint: int | Literal["latest", "best"] = "latest",
    fresh: bool = False,
) -> Opened:
    """Build a run again and read a checkpoint of it.

    Args:
        directory: the run's folder.
        env: the environment, or its id, if the user gives it himself (see ``trust``).
        checkpoint: which one.
        fresh: True to go on with the run, in a folder that is locked: the lack of any checkpoint is no error then, and
            the state is None.

    Raises:
        UserError: if there is no run, no checkpoint that can be read, or one of another configuration.
    """
    directory = Path(directory)
    settings = run_settings.load(directory)
    if not settings.env_object:
        _require_env(settings.env, directory, env)
    built = run_settings.build(settings, env)
    runner = new_runner(settings, built)
    checkpoints = Checkpoints(directory / CHECKPOINTS, read_only=not fresh)
    if fresh and not checkpoints.steps():
        return Opened(directory, settings, built, runner, None, 0, {})
    try:
        restored = checkpoints.restore(runner.template(), checkpoint)
    except CheckpointError as error:
        changed = _changed_field(checkpoints, settings, checkpoint)
        raise changed or error from None
    finally:
        checkpoints.close()
    if changed := _changed_field(checkpoints, settings, restored.step):
        raise changed
    if restored.skipped:
        damaged = ", ".join(map(str, restored.skipped))
        say(f"the checkpoint of step {damaged} is damaged: going back to the last good one, of step {restored.step}")
    return Opened(directory, settings, built, runner, restored.state, restored.step, _plain(restored.metadata))


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a run needs of a checkpoint's metadata; what is of another kind is left out."""
    versions, clock = ({} if not isinstance(x := metadata.get(name), dict) else x for name in ("versions", "clock"))
    seconds = {name: clock.get(name, 0.0) for name in ("wall", "compile", "training")}
    return {
        "versions": versions,
        "clock": {name: float(s) for name, s in seconds.items() if isinstance(s, int | float) and 0 <= s < 1e12},
        "reached": metadata.get("reached") is True,
    }


def _require_env(stored: str, directory: Path, given: Any) -> None:
    """Raise unless the environment that a folder names can be made, and may be."""
    require_trusted(stored, directory, given)
    from jaxrl.envs.registry import is_known

    if given is None and ":" not in stored and not is_known(stored):
        raise UserError(
            f"env={stored!r}: the run in {directory} was made with an environment of that name, which this process "
            "does not know; register it first (jaxrl.envs.register), or give it (--env, or env= from Python)"
        )


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file as a whole or not at all."""
    with writing(path):
        partial = path.with_name(f".{path.name}.new")
        partial.write_text(json.dumps(record, indent=2) + "\n")
        os.replace(partial, path)


def tell_of_missing_rows(directory: Path, steps: Sequence[int], seeds: Sequence[int]) -> None:
    """Tell the user if ``metrics.csv`` lacks reports at some of these steps, which a run that goes on has behind it."""
    rows = read_table(directory / METRICS)[1] if steps else []
    there = {(int(row["steps"]), int(row["seed"])) for row in rows}
    missing = len(steps) * len(seeds) - sum((step, seed) in there for step in steps for seed in seeds)
    if missing:
        say(f"{directory / METRICS} lacks {missing:,} rows before step {steps[-1]:,}: the curves have a hole there")


def read_summary(directory: Path) -> dict[str, Any] | None:
    """The summary of a finished run, or None."""
    path = directory / SUMMARY
    try:
        summary = read_json(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UserError as error:
        raise UserError(f"{error}; {ANEW}") from None
    if not _is_summary(summary):
        raise UserError(f"{path} is not the summary of a run; {ANEW}")
    return summary


def _is_summary(record: Any) -> bool:
    """True if all is there that is shown of a finished run."""
    number = lambda x: isinstance(x, int | float) and not isinstance(x, bool)
    returns = record.get("final_return") if isinstance(record, dict) else None
    measured = [record.get(name) for name in ("steps_per_second", "wall_seconds")] if returns else []
    return bool(returns) and isinstance(returns, list) and all(map(number, [*returns, *measured]))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            if package == "jaxrl":
                from jaxrl import __version__

                found[package] = __version__
    return found


def device() -> str:
    """What the run computes on: ``2 x cpu``, ``1 x NVIDIA H100 80GB HBM3``."""
    import jax

    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind}"


def _changed_field(checkpoints: Checkpoints, settings: RunSettings, checkpoint: int | str) -> UserError | None:
    """The error that a field of the settings is not what it was when the checkpoint was written, or None."""
    try:
        stored = checkpoints.metadata(checkpoint).get("settings")
    except CheckpointError:
        return None
    then = _flat(stored) if isinstance(stored, dict) else {}
    now = _flat(json.loads(json.dumps(run_settings.to_dict(settings))))
    for name in [n for n in now if n in then and now[n] != then[n]]:
        return UserError(
            f"{name}={now[name]}: the checkpoints were written with {name}={then[name]}; "
            f"put {run_settings.FILE} back as it was, or start a new run"
        )
    return None


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A mapping of mappings as one, with names such as ``config.num_envs``."""
    flat = {}
    for name, value in record.items():
        flat |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat
