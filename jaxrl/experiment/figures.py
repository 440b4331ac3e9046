"""Parts of every picture: figures, colours, intervals over seeds, numbers as text, and files."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.experiment.errors import UserError, writing

PathLike = str | os.PathLike
FORMATS = (".png", ".pdf", ".svg")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#5A5A5A", "#B8860B", "#8C2D04")
"""The first six are those of Okabe and Ito, which colour-blind readers can tell apart."""
PALETTE = (
    *("ppo", "a2c", "a3c", "vpg", "npg", "trpo", "impala", "appo", "rnd"),
    *("dqn", "c51", "qr_dqn", "iqn", "rainbow", "munchausen_dqn", "pqn"),
    *("ddpg", "td3", "sac", "sac_discrete", "tqc", "redq", "droq", "crossq"),
)
"""Algorithms in the order of their colours, which repeat after ten: those of a family are told apart."""
EXACT_UP_TO = 5
"""Seeds whose resamples are all counted: of 5 there are 5^5 = 3,125."""
RESAMPLES = 4_000
"""Drawn for more seeds."""


class Line(NamedTuple):
    """How a curve is drawn."""

    colour: str
    style: str


class Interval(NamedTuple):
    """The mean over seeds and a 95 % interval of it; ``[...]`` each."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap(values: np.ndarray) -> Interval:
    """Estimate the mean over the first axis, with its percentile bootstrap interval of 95 %.

    Seeds are drawn with replacement. The interval is that between the 2.5 and 97.5 % quantiles of the resamples' means,
    so it lies between the lowest and the highest seed. Up to five seeds all resamples are counted; of more, 4,000 are
    drawn, always the same ones. See Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.

    Args:
        values: ``[S, ...]``; NaN where there is no value.
    """
    values = np.asarray(values, float)
    count, shape = values.shape[0], values.shape[1:]
    columns = values.reshape(count, -1)
    if count <= EXACT_UP_TO:
        drawn = np.array(list(itertools.product(range(count), repeat=count)))
    else:
        drawn = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    weights = np.stack([(drawn == i).sum(axis=1) for i in range(count)], axis=1).astype(float)
    # In blocks, since a run may have many reports.
    blocks = [_bootstrap(columns[:, i : i + 512], weights) for i in range(0, columns.shape[1], 512)]
    mean, low, high = (np.concatenate(parts).reshape(shape) for parts in zip(*blocks, strict=True))
    return Interval(mean, low, high)


def lines_of(names: Iterable[str]) -> dict[str, Line]:
    """Give each name its colour, the same in every picture.

    Algorithms have theirs from a list. Other names have one by a checksum. Where two of these names have the same
    colour, the later one is dashed, dotted, or both.
    """
    found: dict[str, Line] = {}
    for name in dict.fromkeys(names):
        place = PALETTE.index(name) if name in PALETTE else zlib.crc32(name.encode())
        colour = COLOURS[place % len(COLOURS)]
        before = sum(line.colour == colour for line in found.values())
        found[name] = Line(colour, ("-", "--", ":", "-.")[before % 4])
    return found


def new_figure(panels: int = 1) -> tuple[Any, list[Any]]:
    """A figure with so many panels, which needs no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = panels if panels <= 3 else 2 if panels == 4 else 3
    rows = -(-panels // columns)
    width, height = (8.0, 4.8) if panels == 1 else (6.4 * columns, 4.2 * rows)
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = []
    for i in range(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        all_axes.append(axes)
    return figure, all_axes


def checked_output(output: PathLike) -> Path:
    """The path of a picture.

    Raises:
        UserError: if its name does not end in one of ``FORMATS``.
    """
    output = Path(output)
    if output.suffix.lower() not in FORMATS:
        raise UserError(f"{output}: a picture's name must end in {', '.join(FORMATS)}")
    return output


def save(figure: Any, output: Path) -> Path:
    """Write a picture as a whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = output.with_name(f".{output.name}.new")
        try:
            figure.savefig(partial, format=output.suffix[1:].lower())
            os.replace(partial, output)
        finally:
            partial.unlink(missing_ok=True)
    return output


def magnified(axis: str, low: float, high: float) -> str:
    """A sentence about an axis so far from zero that differences look large; empty about any other."""
    if low * high <= 0 or high - low >= 0.5 * max(abs(low), abs(high)):
        return ""
    return f"{axis} shows only {number(low)} to {number(high)}, without 0, which magnifies differences."


def number(value: float) -> str:
    """A return as a person would write it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _bootstrap(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and interval of columns ``[S, T]`` under the resamples' weights ``[R, S]``."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    count = known.sum(axis=0)
    mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), np.nan)
    drawn = weights @ known
    # A resample without any known value says nothing.
    means = np.where(drawn > 0, weights @ filled / np.maximum(drawn, 1), np.nan)
    # Quantiles as values of the sorted means: NaN come last.
    means, number_known = np.sort(means, axis=0), (drawn > 0).sum(axis=0)
    places = [np.maximum(np.ceil(q * number_known).astype(int) - 1, 0) for q in (0.025, 0.975)]
    low, high = (np.take_along_axis(means, place[None], axis=0)[0] for place in places)
    # This holds already, but for rounding.
    least = np.where(known, values, np.inf).min(axis=0)
    most = np.where(known, values, -np.inf).max(axis=0)
    return mean, np.clip(low, least, most), np.clip(high, least, most)
