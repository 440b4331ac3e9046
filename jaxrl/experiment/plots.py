"""Pictures of runs: learning curves with confidence bands, and what was best in a sweep."""

from __future__ import annotations

import glob
import json
import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.experiment.errors import UserError, writing
from jaxrl.experiment.loggers import read_csv
from jaxrl.validation import did_you_mean

PathLike = str | os.PathLike
METRICS, CURVE = "metrics.csv", "curve.png"
FORMATS = (".png", ".pdf", ".svg")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#5A5A5A", "#B8860B", "#8C2D04")
"""The first six are those of Okabe and Ito, which colour-blind readers can tell apart."""
LABELS = {"eval_return": "evaluation return", "episode_return": "episode return", "seconds": "seconds"}
MOST_FAINT_LINES = 16
MOST_DIRECT_LABELS = 10
FEWEST_OF_A_BAND = 3
"""Seeds at a step below which no band is drawn: that of two, with t(0.975, 1) = 12.7, would hide the curves."""
RETURNS = "final_return"
"""The column of a sweep's table that holds the returns of the seeds; the others are grid axes."""


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


def plot_runs(
    directories: Iterable[PathLike] | PathLike,
    output: PathLike,
    metric: str | None = None,
    smooth: int = 1,
    labels: Sequence[str] = (),
) -> Path:
    """Draw learning curves: for each run the mean over its seeds, with a 95 % confidence band.

    The band is that of Student's t: ``mean +- t(0.975, S - 1) * sd / sqrt(S)`` for ``S`` seeds, three or more; of
    two there are the mean and both lines.

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
    output = _checked_output(output)
    if smooth < 1:
        raise UserError(f"smooth={smooth}: must be at least 1")
    runs = [_load(directory) for directory in find_runs(directories)]
    if labels and len(labels) != len(runs):
        raise UserError(f"labels: there are {len(labels)} for {len(runs)} runs")
    metric = _choose_metric(runs, metric)
    curves = [_smoothed(_curve(run, metric), smooth) for run in runs]

    figure, axes = _figure()
    for i, curve in enumerate(curves):
        _draw(axes, curve, COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--", faint=len(runs) <= 3)
    title, names = _titles(runs)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("environment steps")
    axes.set_ylabel(LABELS.get(metric, metric))
    axes.xaxis.set_major_formatter(_steps_formatter())
    axes.set_xlim(0, 1.01 * max(curve.steps[-1] for curve in curves) or 1)
    figure.supxlabel(_caption(curves, smooth), fontsize=8, color="0.4")
    if len(runs) > 1:
        _label(figure, axes, curves, labels or names)
    return _save(figure, output)


def plot_curve(directory: PathLike) -> Path:
    """Draw the learning curve of one run, as ``curve.png`` in its folder. See ``plot_runs``."""
    return plot_runs([Path(directory)], Path(directory) / CURVE)


def plot_sweep(table: Sequence[Mapping[str, Any]], output: PathLike, title: str = "") -> Path:
    """Draw what a sweep found: a curve for one grid axis, a heat map for two, a ranking for more.

    Args:
        table: a row for each setting: ``{"learning_rate": 1e-3, ..., "final_return": [one for each seed]}``.
        output: the picture, a .png, .pdf or .svg.
        title: of the picture.

    Returns:
        The path of the picture.

    Raises:
        UserError: if the table is empty, or the picture cannot be written.
    """
    output = _checked_output(output)
    if not table:
        raise UserError("the sweep's table is empty: there is nothing to draw")
    names = [name for name in table[0] if name != RETURNS]
    plain = lambda value: value if _is_number(value) else str(value)
    table = [{name: value if name == RETURNS else plain(value) for name, value in row.items()} for row in table]
    varied = [name for name in names if len({row[name] for row in table}) > 1]
    returns = [np.asarray(row[RETURNS], float).reshape(-1) for row in table]
    means = np.array([r.mean() for r in returns])
    best = int(np.nanargmax(means)) if np.isfinite(means).any() else None

    figure, axes = _figure()
    draw = {1: _sweep_line, 2: _sweep_map}.get(len(varied), _sweep_ranking)
    draw(figure, axes, table, varied, returns, best)
    axes.set_title(title, loc="left", fontweight="bold")
    found = "no setting has a finite return"
    if best is not None:
        setting = ", ".join(f"{name} = {_value(table[best][name])}" for name in names)
        found = f"★ best: {setting or 'the defaults'}, with a final return of {_spread(returns[best])}"
    count = max(len(r) for r in returns)
    over = f"means over {count} seeds with 95 % confidence intervals (Student's t)" if count > 1 else "one seed"
    figure.supxlabel(f"{found}\n{over}", fontsize=8, color="0.3")
    return _save(figure, output)


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


def confidence(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis and half the width of its 95 % confidence interval by Student's t.

    Args:
        values: ``[S, ...]``; NaN where there is no value.

    Returns:
        Two arrays ``[...]``; the second is NaN where fewer than two values are known.
    """
    from scipy.special import stdtrit

    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), np.nan)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    freedom = np.maximum(count - 1, 1)
    half = stdtrit(freedom, 0.975) * np.sqrt(squares / freedom / np.maximum(count, 1))
    return mean, np.where(count > 1, half, np.nan)


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
    import yaml

    for name, parse in (("config.yaml", yaml.safe_load), ("summary.json", json.loads)):
        try:
            record = parse((directory / name).read_text())
            return {key: str(record[key]) for key in ("algorithm", "env")}
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue
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


def _draw(axes: Any, curve: Curve, colour: str, style: str, faint: bool) -> None:
    mean, half = confidence(curve.values)
    marker = "o" if len(curve.steps) <= 25 else None
    if _has_single_lines(len(curve.values), faint):
        axes.plot(curve.steps, curve.values.T, color=colour, linewidth=0.7, alpha=0.3, zorder=1)
    half = np.where(np.isfinite(curve.values).sum(axis=0) >= FEWEST_OF_A_BAND, half, np.nan)
    axes.fill_between(
        curve.steps, mean - half, mean + half, color=colour, alpha=0.2 if faint else 0.12, linewidth=0, zorder=2
    )
    axes.plot(curve.steps, mean, style, color=colour, linewidth=2, marker=marker, markersize=4, zorder=3)


def _has_single_lines(seeds: int, faint: bool) -> bool:
    return 1 < seeds < FEWEST_OF_A_BAND or (faint and 1 < seeds <= MOST_FAINT_LINES)


def _titles(runs: Sequence[Run]) -> tuple[str, list[str]]:
    """The picture's title, which is what the runs have in common, and a label for each, which is the rest."""
    algorithms, envs = {run.algorithm for run in runs}, {run.env for run in runs}
    names = _short_names([run.directory for run in runs])
    if len(algorithms) == len(envs) == 1:
        title = " on ".join(filter(None, (runs[0].algorithm, runs[0].env)))
        return title or (names[0] if len(runs) == 1 else ""), names
    if len(envs) == 1:
        title, labels = runs[0].env, [run.algorithm for run in runs]
    elif len(algorithms) == 1:
        title, labels = runs[0].algorithm, [run.env for run in runs]
    else:
        title, labels = "", [f"{run.algorithm} on {run.env}" for run in runs]
    alone = [label != "" and labels.count(label) == 1 for label in labels]
    return title, [
        label if ok else f"{label} {name}".strip() for label, name, ok in zip(labels, names, alone, strict=True)
    ]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """As many of each path's last parts as tell the paths apart."""
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-depth:]) for p in parts]
        if len(set(names)) == len(names):
            break
    return names


def _label(figure: Any, axes: Any, curves: Sequence[Curve], labels: Sequence[str]) -> None:
    """Write each label at the right end of its line, moved apart where they would overlap."""
    lines = [_wrapped(label) for label in labels]
    if len(lines) > MOST_DIRECT_LABELS:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=COLOURS[i % len(COLOURS)], linestyle="-" if i < len(COLOURS) else "--", linewidth=2)
            for i in range(len(lines))
        ]
        figure.legend(handles, lines, loc="outside right upper", fontsize=8, frameon=False)
        return
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    ends = [(confidence(c.values)[0][-1] - low) / (high - low) for c in curves]
    line_height = 9 * 1.3 / 72 * figure.dpi / axes.get_window_extent().height
    heights = [line_height * (line.count("\n") + 1) for line in lines]
    for i, place in enumerate(_moved_apart(ends, heights)):
        axes.text(
            1.01, place, lines[i], transform=axes.transAxes, color=COLOURS[i], fontsize=9, fontweight="bold",
            va="center", ha="left",
        )  # fmt: skip


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


def _caption(curves: Sequence[Curve], smooth: int) -> str:
    counts = sorted({len(curve.values) for curve in curves})
    if counts == [1]:
        caption = "one seed" if len(curves) == 1 else "one seed each"
    else:
        number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        mean, band = ("mean", "band") if len(curves) == 1 else ("means", "bands")
        caption = f"{mean} of {number} seeds"
        if counts[-1] >= FEWEST_OF_A_BAND:
            caption += f" with 95 % confidence {band} (Student's t)"
        if any(_has_single_lines(count, len(curves) <= 3) for count in counts):
            caption += "; thin lines: single seeds"
    return caption + (f"; running mean of {smooth} points" if smooth > 1 else "")


def _sweep_line(
    figure: Any,
    axes: Any,
    table: Sequence[Mapping[str, Any]],
    names: list[str],
    returns: list[np.ndarray],
    best: int | None,
) -> None:
    (name,) = names
    values = [row[name] for row in table]
    numeric = all(_is_number(v) for v in values)
    order = np.argsort(np.array(values, float)) if numeric else np.arange(len(values))
    x = np.array(values, float) if numeric else np.arange(len(values), dtype=float)
    mean, half = np.array([[a.item() for a in confidence(r[:, None])] for r in returns]).T
    colour = COLOURS[0]
    for i, r in enumerate(returns):
        axes.plot(np.full(len(r), x[i]), r, "o", color=colour, alpha=0.25, markersize=4, markeredgewidth=0, zorder=2)
    if numeric:
        low, high = (mean - half)[order], (mean + half)[order]
        axes.fill_between(x[order], low, high, color=colour, alpha=0.2, linewidth=0, zorder=1)
        axes.plot(x[order], mean[order], "-o", color=colour, linewidth=2, markersize=5, zorder=3)
        if _log_spaced(np.unique(x)):
            axes.set_xscale("log")
        if len(x) <= 10:
            axes.set_xticks(x[order], [_value(values[i]) for i in order])
            axes.minorticks_off()
    else:
        axes.errorbar(x, mean, np.nan_to_num(half), fmt="o", color=colour, capsize=4, markersize=6, zorder=3)
        axes.set_xticks(x, [_value(v) for v in values])
        axes.margins(x=0.2)
    if best is not None:
        axes.plot(x[best], mean[best], "*", color=COLOURS[1], markersize=15, markeredgecolor="white", zorder=4)
    axes.set_xlabel(name)
    axes.set_ylabel("final return")


def _sweep_map(
    figure: Any,
    axes: Any,
    table: Sequence[Mapping[str, Any]],
    names: list[str],
    returns: list[np.ndarray],
    best: int | None,
) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = (_levels([row[name] for row in table]) for name in names)
    image = np.full((len(rows), len(columns)), np.nan)
    cells = {}
    for i, row in enumerate(table):
        place = rows.index(row[names[0]]), columns.index(row[names[1]])
        image[place], cells[place] = returns[i].mean(), i
    drawn = axes.imshow(np.ma.masked_invalid(image), cmap="viridis", aspect="auto", origin="lower")
    axes.set_facecolor("0.85")
    axes.grid(False)
    if image.size <= 100:
        for (r, c), i in cells.items():
            dark = np.isfinite(image[r, c]) and drawn.norm(image[r, c]) < 0.6
            text = f"{_number(image[r, c])}" if np.isfinite(image[r, c]) else "not finite"
            star = "★ " if i == best else ""
            axes.text(c, r, star + text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    if best is not None:
        r, c = next(place for place, i in cells.items() if i == best)
        axes.add_patch(
            Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=3, clip_on=False)
        )
    axes.set_yticks(range(len(rows)), [_value(v) for v in rows])
    axes.set_xticks(range(len(columns)), [_value(v) for v in columns])
    axes.set_ylabel(names[0])
    axes.set_xlabel(names[1])
    if np.isfinite(image).any():
        figure.colorbar(drawn, label="mean final return")


def _sweep_ranking(
    figure: Any,
    axes: Any,
    table: Sequence[Mapping[str, Any]],
    names: list[str],
    returns: list[np.ndarray],
    best: int | None,
) -> None:
    means = np.array([r.mean() for r in returns])
    order = np.argsort(np.where(np.isfinite(means), -means, np.inf), kind="stable")[:20]
    for place, i in enumerate(order):
        mean, half = (a.item() for a in confidence(returns[i][:, None]))
        colour = COLOURS[1] if i == best else COLOURS[0]
        axes.errorbar(mean, place, xerr=np.nan_to_num(half), fmt="*" if i == best else "o", color=colour, capsize=3)
    labels = [", ".join(f"{name}={_value(table[i][name])}" for name in names) or "defaults" for i in order]
    axes.set_yticks(range(len(order)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("final return" + (f" (the best 20 of {len(table)})" if len(table) > 20 else ""))
    figure.set_size_inches(8, max(3.0, 1.6 + 0.25 * len(order)))


def _levels(values: Sequence[Any]) -> list[Any]:
    levels = list(dict.fromkeys(values))
    return sorted(levels) if all(_is_number(v) for v in levels) else levels


def _log_spaced(values: np.ndarray) -> bool:
    """Whether sorted values lie more evenly on a logarithmic axis."""
    if len(values) < 2 or values[0] <= 0:
        return False
    if len(values) == 2:
        return bool(values[1] / values[0] >= 10)
    unevenness = lambda x: np.std(np.diff(x)) / np.mean(np.diff(x))
    return bool(unevenness(np.log(values)) < unevenness(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _value(value: Any) -> str:
    return f"{value:.4g}" if _is_number(value) else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _spread(values: np.ndarray) -> str:
    mean, half = (a.item() for a in confidence(values[:, None]))
    return _number(mean) if math.isnan(half) else f"{_number(mean)} ± {half:.2g}"


def _figure() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _steps_formatter() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")


def _checked_output(output: PathLike) -> Path:
    output = Path(output)
    if output.suffix.lower() not in FORMATS:
        raise UserError(f"{output}: a picture's name must end in {', '.join(FORMATS)}")
    return output


def _save(figure: Any, output: Path) -> Path:
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = output.with_name(f".{output.name}.new")
        try:
            figure.savefig(partial, format=output.suffix[1:].lower())
            os.replace(partial, output)
        finally:
            partial.unlink(missing_ok=True)
    return output
