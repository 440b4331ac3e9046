"""Reports of training: when they are due, what they hold, and what they tell of trouble."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxrl.training import Evaluation, Metrics

EPISODES = ("episode_return", "episode_return_min", "episode_return_max", "episode_length")
"""Columns of ``metrics.csv`` about the training episodes that ended in an interval."""


def when_due(num_intervals: int, count: int) -> list[bool]:
    """After which intervals something is due that shall happen ``count`` times, the last time at the end."""
    return [(i + 1) * count // num_intervals > i * count // num_intervals for i in range(num_intervals)]


def when_evaluated(num_intervals: int, count: int) -> list[bool]:
    """After which intervals there is an evaluation: ``count`` of them evenly spaced, and a few more early.

    The early ones are at a half, a quarter, ... of the first of the even ones, where a curve rises most. There are a
    third as many of them, so that they cost little beside the others.
    """
    due = when_due(num_intervals, count)
    early = due.index(True) + 1
    for _ in range(min(count // 3, early.bit_length() - 1)):
        early //= 2
        due[early - 1] = True
    return due


def untrained_rows(evaluation: Evaluation, seeds: list[int], seconds: float) -> list[dict[str, float | int]]:
    """Rows of step 0: the return of the policy as it was initialised."""
    common = {"steps_per_second": math.nan, "episodes": 0}
    common |= dict.fromkeys(EPISODES, math.nan)
    return [
        {"steps": 0, "seed": seed, "seconds": round(seconds, 3), **common, "eval_return": float(np.mean(returns))}
        for seed, returns in zip(seeds, evaluation.episode_return, strict=True)
    ]


def report_rows(
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


def trouble_in(metrics: Metrics, seeds: list[int]) -> tuple[str, int] | None:
    """The name of a metric that is not finite, and its seed; or None."""
    for name, values in [*metrics.losses.items(), ("parameters", np.where(metrics.finite, 0.0, math.nan))]:
        for seed, value in zip(seeds, values, strict=True):
            if not math.isfinite(value):
                return name, seed
    return None


def mean_of_known(values: Any) -> float:
    """The mean of those seeds that have a value."""
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
