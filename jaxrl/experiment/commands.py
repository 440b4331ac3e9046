"""The subcommands of the command line, each a record of its options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro


def _count(texts: list[str]) -> int:
    from jaxrl.experiment.values import literal, shown

    value = literal(texts[0].replace(",", "_"))
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise ValueError(f"{shown(texts[0])} is not a whole number")
    return int(value)


def _option(metavar: str, default: str) -> Any:
    """Format an option that may be left out, for the help."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


def _required(metavar: str) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="(required)")


_COUNT = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="N",
    instance_from_str=_count,
    is_instance=lambda x: isinstance(x, int),
    str_from_instance=lambda x: [str(x)],
)
"""An integer that may be written as 500000, 500_000 or 5e5."""

Count = Annotated[int, _COUNT]
TUNED = "those tuned for ALGO and ENV, if any"


@dataclasses.dataclass(frozen=True)
class Train:
    """Train an algorithm on an environment, or go on with a run that was stopped."""

    algorithm: tyro.conf.Positional[Annotated[str | None, _option("ALGO", "that of --resume")]] = None
    """The algorithm, such as ppo."""
    env: Annotated[str | None, _option("ID", "that of --resume")] = None
    """The environment: CartPole-v1, gymnasium:CartPole-v1, or my_module:make_env."""
    total_steps: Annotated[Count | None, _option("N", "the preset's")] = None
    """Environment steps of each seed."""
    seed: Annotated[Count | None, _option("S", "0")] = None
    """The first seed."""
    num_seeds: Annotated[Count | None, _option("K", "1")] = None
    """Runs side by side, with seeds counting on from the first."""
    out: Annotated[Path | None, _option("DIR", "runs/ALGO/ENV/DATE-TIME_sSEED")] = None
    """The run's folder; it must be new or empty."""
    preset: Annotated[str | None, _option("NAME", TUNED)] = None
    """Settings to start from; none for the algorithm's defaults."""
    resume: Annotated[Path | None, _option("DIR", "a new run")] = None
    """Go on with the run in this folder, with the settings that it has."""
    reward_shift: Annotated[float | None, _option("X", "the preset's, or 0")] = None
    """Number added to the reward before it is scaled."""
    reward_scale: Annotated[float | None, _option("X", "the preset's, or 1")] = None
    """Factor of the reward that is learned from."""
    reward_clip: Annotated[float | None, _option("C", "the preset's, or inf")] = None
    """Bound of the absolute (scaled) reward that is learned from."""
    reward_log: Annotated[str | None, _option("true|false", "the preset's, or false")] = None
    """Learn from the logarithm of the reward, after all else."""
    num_intervals: Annotated[Count | None, _option("N", "100")] = None
    """Reports of the run."""
    num_evaluations: Annotated[Count | None, _option("N", "10")] = None
    """Evenly spaced evaluations of the run; to these come one before training and a third as many early ones."""
    num_checkpoints: Annotated[Count | None, _option("N", "10")] = None
    """Checkpoints of the run."""
    eval_episodes: Annotated[Count | None, _option("N", "32")] = None
    """Episodes of an evaluation, for each seed."""
    stop_at_return: Annotated[float | None, _option("X", "no")] = None
    """End with the first report whose training episodes have this mean return, over the seeds."""
    wandb: Annotated[str | None, _option("PROJECT", "no")] = None
    """Log to Weights & Biases too (WANDB_MODE=offline works)."""
    progress: bool = True
    """Show a progress bar."""


@dataclasses.dataclass(frozen=True)
class Eval:
    """Evaluate the policies of a run, seed by seed."""

    directory: tyro.conf.Positional[Annotated[Path, _required("DIR")]]
    """The run's folder."""
    episodes: Annotated[Count | None, _option("N", "as many as in the run's own evaluations")] = None
    """Episodes for each seed."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Act with exploration."""
    checkpoint: Annotated[str, tyro.conf.arg(metavar="latest|best|STEP")] = "latest"
    """Which checkpoint."""
    env: Annotated[str | None, _option("ID", "the run's, unless it runs code of a module")] = None
    """The environment again: needed if it is a module:factory outside of the current directory."""


@dataclasses.dataclass(frozen=True)
class Play:
    """Watch a policy of a run, in a video, or in a window where there is a display."""

    directory: tyro.conf.Positional[Annotated[Path, _required("DIR")]]
    """The run's folder."""
    out: Annotated[Path | None, _option("FILE", "play.gif in the run's folder")] = None
    """The video, .gif or .mp4."""
    window: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show a window (which is also done where there is a display and no --out)."""
    episodes: Annotated[Count, tyro.conf.arg(metavar="N")] = 1
    """Episodes to show."""
    seed: Annotated[Count | None, _option("S", "the run's first")] = None
    """The seed whose policy acts."""
    checkpoint: Annotated[str, tyro.conf.arg(metavar="latest|best|STEP")] = "latest"
    """Which checkpoint."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Act with exploration."""
    max_steps: Annotated[Count, tyro.conf.arg(metavar="N")] = 1000
    """Longest part of an episode that is shown."""
    fps: Annotated[Count | None, _option("N", "what the environment asks for, or 30")] = None
    """Frames a second."""
    env: Annotated[str | None, _option("ID", "the run's, unless it runs code of a module")] = None
    """The environment again: needed if it is a module:factory outside of the current directory."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw the learning curves of some runs in one picture: means and 95 % bootstrap intervals over the seeds."""

    directories: tyro.conf.Positional[Annotated[tuple[Path, ...], _required("DIR...")]]
    """The runs' folders."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("plot.png")
    """The picture: .png, .pdf or .svg."""
    metric: Annotated[str | None, _option("NAME", "the evaluation's return")] = None
    """A column of metrics.csv."""
    smooth: Annotated[Count, tyro.conf.arg(metavar="N")] = 1
    """Length of a running mean over reports."""
    labels: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME...")] = ()
    """A name for each run, instead of what tells the runs apart."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train with every combination of some values, each with several seeds, and rank them."""

    algorithm: tyro.conf.Positional[Annotated[str, _required("ALGO")]]
    """The algorithm, such as ppo."""
    env: Annotated[str, _required("ID")]
    """The environment."""
    grid: tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=a,b,c")]] = ()
    """A hyper-parameter or a field of the configuration, and its values; once for each name. A value with commas
    of its own needs brackets: hidden_sizes=(64,64),(128,128)."""
    seeds: Annotated[Count, tyro.conf.arg(metavar="K")] = 8
    """Seeds of each combination."""
    seed: Annotated[Count, tyro.conf.arg(metavar="S")] = 0
    """The first seed."""
    total_steps: Annotated[Count | None, _option("N", "the preset's")] = None
    """Environment steps of each seed."""
    out: Annotated[Path | None, _option("DIR", "runs/sweeps/ALGO/ENV/DATE-TIME_sSEED")] = None
    """The folder for results.csv and sweep.png; it must be new or empty."""
    preset: Annotated[str | None, _option("NAME", TUNED)] = None
    """Settings to start from; none for the algorithm's defaults."""
    reward_shift: Annotated[float | None, _option("X", "the preset's, or 0")] = None
    """Number added to the reward before it is scaled."""
    reward_scale: Annotated[float | None, _option("X", "the preset's, or 1")] = None
    """Factor of the reward that is learned from."""
    reward_clip: Annotated[float | None, _option("C", "the preset's, or inf")] = None
    """Bound of the absolute (scaled) reward that is learned from."""
    reward_log: Annotated[str | None, _option("true|false", "the preset's, or false")] = None
    """Learn from the logarithm of the reward, after all else."""


@dataclasses.dataclass(frozen=True)
class List:
    """List algorithms, presets and environments, or the parameters of some of them."""

    topics: tyro.conf.Positional[Annotated[tuple[str, ...], _option("TOPIC NAME...", "all topics")]] = ()
    """algorithms, presets or environments; with names behind it, the options of these algorithms, the presets of
    these algorithms, or the parameters of these environments."""


@dataclasses.dataclass(frozen=True)
class Completion:
    """Print a script with which a shell completes names at the Tab key."""

    shell: tyro.conf.Positional[Annotated[str, _required("bash|zsh|fish")]]
    """The shell."""


COMMANDS = {
    "train": Train, "eval": Eval, "play": Play, "plot": Plot, "sweep": Sweep, "list": List, "completion": Completion,
}  # fmt: skip
