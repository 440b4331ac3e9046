"""Pictures of runs: learning curves with bootstrap intervals over the seeds, one panel for each environment."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.experiment.errors import UserError
from jaxrl.experiment.figures import Line, PathLike, bootstrap, checked_output, lines_of, magnified, new_figure, save
from jaxrl.experiment.loggers import read_csv
from jaxrl.experiment.text_files import read_json, read_yaml
from jaxrl.validation import did_you_mean

METRICS, CURVE = "metrics.csv", "curve.png"
LABELS = {"eval_return": "evaluation return", "episode_return": "episode return", "seconds": "seconds"}
MOST_FAINT_LINES = 16
MOST_DIRECT_LABELS = 10
FEWEST_OF_A_BAND = 3
"""Seeds at a step below which no band is drawn: the interval of two is that between them, which both lines show."""


class Run(NamedTuple):
    """What a picture needs of a run's folder."""

    directory: Path
    algorithm: str
    env: str
    columns: dict[str, np.ndarray]


class Curve(NamedTuple):
    """A metric over environment steps."""

    steps: np.ndarray
    """``[T]``"""
    values: np.ndarray
    """``[S, T]`` for ``S`` seeds; NaN before the first and after the last value of a seed."""

    @property
    def end(self) -> tuple[float, float]:
        """Step and mean at the end of the line."""
        return float(self.steps[-1]), float(bootstrap(self.values[:, -1]).mean)


class Panel(NamedTuple):
    """The curves of one environment."""

    title: str
    curves: list[Curve]
    lines: list[Line]
    labels: list[str]
    """Empty where a single curve is what the title says."""


def plot_runs(
    directories: Iterable[PathLike] | PathLike,
    output: PathLike,
    metric: str | None = None,
    smooth: int = 1,
    labels: Sequence[str] = (),
) -> Path:
    """Draw learning curves: for each run the mean over its seeds, with a 95 % interval.

    The interval is a percentile bootstrap over the seeds, three or more (see ``figures.bootstrap``); it never leaves
    the seeds' own values. Of two seeds there are the mean and both lines. Each environment has a panel of its own. An
    algorithm has the same colour in every picture; where a panel has several runs of one algorithm, each run's name
    has.

    Args:
        directories: folders of runs, folders of such folders, glob patterns or prefixes of names.
        output: the picture, a .png, .pdf or .svg.
        metric: a column of ``metrics.csv``; by default ``eval_return`` where all runs have it, else
            ``episode_return``.
        smooth: each value becomes the mean of so many neighbours.
        labels: a name for each run that is found, in that order; by default what tells the runs apart.

    Returns:
        The path of the picture.

    Raises:
        UserError: if there is no run, or no data, or another number of labels, or the picture cannot be written.
    """
    output = checked_output(output)
    return draw([_load(directory) for directory in find_runs(directories)], output, metric, smooth, labels)


def draw(
    runs: Sequence[Run], output: PathLike, metric: str | None = None, smooth: int = 1, labels: Sequence[str] = ()
) -> Path:
    """Draw the learning curves of runs whose columns are at hand. See ``plot_runs``."""
    output = checked_output(output)
    if smooth < 1:
        raise UserError(f"smooth={smooth}: must be at least 1")
    if labels and len(labels) != len(runs):
        raise UserError(f"labels: there are {len(labels)} for {len(runs)} runs")
    metric = _choose_metric(runs, metric)
    panels = _panels(runs, [_smoothed(_curve(run, metric), smooth) for run in runs], labels)

    figure, all_axes = new_figure(len(panels))
    for panel, axes in zip(panels, all_axes, strict=True):
        for curve, line in zip(panel.curves, panel.lines, strict=True):
            _draw(axes, curve, line, faint=len(panel.curves) <= 3)
        axes.set_title(panel.title, loc="left", fontweight="bold")
        axes.set_xlabel("environment steps")
        axes.set_ylabel(LABELS.get(metric, metric))
        _format_steps(axes.xaxis)
        axes.set_xlim(0, 1.01 * max(curve.steps[-1] for curve in panel.curves) or 1)
    notes = [_caption(panels, smooth), *_magnified(panels, all_axes)]
    figure.supxlabel("\n".join(notes), fontsize=8, color="0.4")
    for panel, axes in zip(panels, all_axes, strict=True):
        if panel.labels:
            _label(figure, axes, panel)
    return save(figure, output)


def plot_curve(directory: PathLike) -> Path:
    """Draw the learning curve of one run, as ``curve.png`` in its folder. See ``plot_runs``."""
    return plot_runs([Path(directory)], Path(directory) / CURVE)


def find_runs(patterns: Iterable[PathLike] | PathLike) -> list[Path]:
    """The folders with a ``metrics.csv`` that these folders, glob patterns or prefixes of names stand for.

    Raises:
        UserError: if one of them stands for none.
    """
    patterns = [patterns] if isinstance(patterns, (str, os.PathLike)) else list(patterns)
    if not patterns:
        raise UserError("name at least one folder of a run")
    found: dict[Path, None] = {}
    for pattern in map(os.fspath, patterns):
        matches = (
            [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern)) or sorted(glob.glob(f"{pattern}*"))
        )
        runs = [run for match in matches for run in _runs_below(Path(match))]
        if not runs:
            missing = f"there is no {METRICS} in it" if matches else "there is no such folder"
            raise UserError(f"{pattern} is not the folder of a run: {missing}")
        found |= dict.fromkeys(runs)
    return list(found)


def _runs_below(directory: Path) -> list[Path]:
    if (directory / METRICS).is_file():
        return [directory]
    return sorted(path.parent for path in directory.rglob(METRICS)) if directory.is_dir() else []


def _load(directory: Path) -> Run:
    columns = read_csv(directory / METRICS)
    if not columns or not len(columns.get("steps", ())):
        raise UserError(f"{directory / METRICS} is empty: the run has not reported anything yet")
    settings = _settings(directory)
    return Run(directory, settings.get("algorithm", ""), settings.get("env", ""), columns)


def _settings(directory: Path) -> dict[str, str]:
    """What the run was, from its configuration or summary; empty if neither can be read."""
    for name, parse in (("config.yaml", read_yaml), ("summary.json", read_json)):
        with contextlib.suppress(OSError, UserError):
            record = parse(directory / name)
            names = [record.get(key) for key in ("algorithm", "env")] if isinstance(record, dict) else [None]
            # What is drawn is short, and no formula.
            if all(isinstance(n, str) and re.fullmatch(r"[\w\-.:/ ]{1,100}", n) for n in names):
                return dict(zip(("algorithm", "env"), names, strict=True))
    return {}


def _choose_metric(runs: Sequence[Run], metric: str | None) -> str:
    has = lambda run, name: name in run.columns and np.isfinite(run.columns[name]).any()
    if metric is None:
        for name in ("eval_return", "episode_return"):
            if all(has(run, name) for run in runs):
                return name
        metric = "episode_return"
    for run in runs:
        if metric not in run.columns:
            names = [name for name in run.columns if name not in ("steps", "seed")]
            hint = did_you_mean(metric, names) or f"; choose one of {', '.join(names)}"
            raise UserError(f"metric={metric!r}: is not in {run.directory / METRICS}{hint}")
        if not has(run, metric):
            raise UserError(f"metric={metric!r}: has no value yet in {run.directory / METRICS}")
    return metric


def _curve(run: Run, metric: str) -> Curve:
    steps, seeds = run.columns["steps"], run.columns.get("seed", np.zeros_like(run.columns["steps"]))
    known = np.isfinite(run.columns[metric])
    grid = np.unique(steps[known])
    rows = []
    for seed in np.unique(seeds):
        own = known & (seeds == seed)
        if own.any():
            # Where no episode of this seed ended in an interval, its line goes straight on to the next value.
            order = np.argsort(steps[own], kind="stable")
            x, y = steps[own][order], run.columns[metric][own][order]
            rows.append(np.interp(grid, x, y, left=np.nan, right=np.nan))
    return Curve(grid, np.stack(rows))


def _smoothed(curve: Curve, width: int) -> Curve:
    if width == 1:
        return curve
    known = np.isfinite(curve.values)
    window = np.ones(width)
    sums = np.stack([_same_convolve(row, window) for row in np.where(known, curve.values, 0.0)])
    counts = np.stack([_same_convolve(row, window) for row in known.astype(float)])
    return Curve(curve.steps, np.where(known, sums / np.maximum(counts, 1.0), np.nan))


def _same_convolve(row: np.ndarray, window: np.ndarray) -> np.ndarray:
    start = (len(window) - 1) // 2
    return np.convolve(row, window)[start : start + len(row)]


def _panels(runs: Sequence[Run], curves: Sequence[Curve], labels: Sequence[str]) -> list[Panel]:
    """A panel for each environment, in the order of their first runs."""
    groups = [[i for i, run in enumerate(runs) if run.env == env] for env in dict.fromkeys(run.env for run in runs)]
    names = _short_names([run.directory for run in runs])
    if all(len({runs[i].algorithm for i in group} - {""}) == len(group) for group in groups):
        names = [run.algorithm for run in runs]
    names = list(labels) or names
    panels = []
    for group in groups:
        lines = lines_of(names[i] for i in group)
        title, found = _title([runs[i] for i in group])
        shown = [labels[i] for i in group] if labels else found if len(group) > 1 else []
        panels.append(Panel(title, [curves[i] for i in group], [lines[names[i]] for i in group], shown))
    return panels


def _draw(axes: Any, curve: Curve, line: Line, faint: bool) -> None:
    mean, low, high = bootstrap(curve.values)
    marker = "o" if len(curve.steps) <= 25 else None
    if _has_single_lines(len(curve.values), faint):
        axes.plot(curve.steps, curve.values.T, color=line.colour, linewidth=0.7, alpha=0.3, zorder=1)
    enough = np.isfinite(curve.values).sum(axis=0) >= FEWEST_OF_A_BAND
    low, high = np.where(enough, low, np.nan), np.where(enough, high, np.nan)
    alpha = 0.2 if faint else 0.12
    axes.fill_between(curve.steps, low, high, color=line.colour, alpha=alpha, linewidth=0, zorder=2)
    axes.plot(curve.steps, mean, line.style, color=line.colour, linewidth=2, marker=marker, markersize=4, zorder=3)


def _has_single_lines(seeds: int, faint: bool) -> bool:
    return 1 < seeds < FEWEST_OF_A_BAND or (faint and 1 < seeds <= MOST_FAINT_LINES)


def _title(runs: Sequence[Run]) -> tuple[str, list[str]]:
    """The title of an environment's panel, and a label for each run: what the title does not say."""
    algorithms, env = [run.algorithm for run in runs], runs[0].env
    names = _short_names([run.directory for run in runs])
    if len(set(algorithms)) == 1:
        title = " on ".join(filter(None, (algorithms[0], env)))
        return title or (names[0] if len(runs) == 1 else ""), names
    alone = [label != "" and algorithms.count(label) == 1 for label in algorithms]
    labels = [
        label if ok else f"{label} {name}".strip() for label, name, ok in zip(algorithms, names, alone, strict=True)
    ]
    return env, labels


def _short_names(paths: Sequence[Path]) -> list[str]:
    """As many of each path's last parts as tell the paths apart."""
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-depth:]) for p in parts]
        if len(set(names)) == len(names):
            break
    return names


def _label(figure: Any, axes: Any, panel: Panel) -> None:
    """Write each label where its line ends, moved up or down where two would overlap."""
    lines = [_wrapped(label) for label in panel.labels]
    if len(lines) > MOST_DIRECT_LABELS:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=line.colour, linestyle=line.style, linewidth=2) for line in panel.lines]
        axes.legend(handles, lines, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False)
        return
    figure.draw_without_rendering()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    ends = [((x - left) / (right - left), (y - low) / (high - low)) for x, y in (curve.end for curve in panel.curves)]
    # Labels of lines that end at the right edge stand outside; those of shorter runs inside, over what is there.
    starts = [1.01 if x > 0.97 else x + 0.01 for x, _ in ends]
    texts = [
        axes.text(
            start, y, text, transform=axes.transAxes, color=line.colour, fontsize=9, fontweight="bold",
            va="center", ha="left", zorder=5,
            bbox=None if start > 1 else {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        )
        for start, (_, y), text, line in zip(starts, ends, lines, panel.lines, strict=True)
    ]  # fmt: skip
    box = axes.get_window_extent()
    extents = [text.get_window_extent() for text in texts]
    spans = [(e.x0, e.x1) for e in extents]
    heights = [1.1 * e.height / box.height for e in extents]
    for group in _overlapping(spans):
        moved = _moved_apart([ends[i][1] for i in group], [heights[i] for i in group])
        for i, place in zip(group, moved, strict=True):
            texts[i].set_y(place)


def _overlapping(spans: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Groups of intervals that overlap, directly or by way of others."""
    groups: list[list[int]] = []
    reach = -np.inf
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        if not groups or spans[i][0] > reach:
            groups.append([])
        groups[-1].append(i)
        reach = max(reach, spans[i][1])
    return groups


def _wrapped(label: str, width: int = 28) -> str:
    words = [word if len(word) <= width else f"…{word[1 - width :]}" for word in label.split()]
    return textwrap.fill(" ".join(words), width)


def _moved_apart(places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Places from 0 to 1 in the same order, such that intervals of these heights around them do not overlap."""
    order = np.argsort(places, kind="stable")
    moved = np.clip(np.array(places, float), 0.0, 1.0)
    for below, above in zip(order[:-1], order[1:], strict=True):
        moved[above] = max(moved[above], moved[below] + (heights[below] + heights[above]) / 2)
    moved[order[-1]] = min(moved[order[-1]], 1.0)
    for above, below in zip(order[::-1][:-1], order[::-1][1:], strict=True):
        moved[below] = min(moved[below], moved[above] - (heights[below] + heights[above]) / 2)
    return list(moved)


def _caption(panels: Sequence[Panel], smooth: int) -> str:
    curves = [curve for panel in panels for curve in panel.curves]
    counts = sorted({len(curve.values) for curve in curves})
    if counts == [1]:
        caption = "one seed" if len(curves) == 1 else "one seed each"
    else:
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        mean, band = ("mean", "band") if len(curves) == 1 else ("means", "bands")
        caption = f"{mean} of {seeds} seeds"
        if counts[-1] >= FEWEST_OF_A_BAND:
            caption += f"; {band}: 95 % bootstrap interval over the seeds"
        faint = [_has_single_lines(len(c.values), len(p.curves) <= 3) for p in panels for c in p.curves]
        if any(faint):
            caption += "; thin lines: single seeds"
    return caption + (f"; running mean of {smooth} points" if smooth > 1 else "")


def _magnified(panels: Sequence[Panel], all_axes: Sequence[Any]) -> list[str]:
    """A sentence for each y axis that begins far from zero."""
    names = [f"The y axis of {panel.title}" if len(panels) > 1 else "The y axis" for panel in panels]
    notes = [magnified(name, *axes.get_ylim()) for name, axes in zip(names, all_axes, strict=True)]
    return [note for note in notes if note]


def _format_steps(axis: Any) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
