"""Pictures of sweeps: a curve for one grid axis, a heat map for two, a ranking for more, with the best one marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.experiment.errors import UserError
from jaxrl.experiment.figures import COLOURS, PathLike, bootstrap, checked_output, magnified, new_figure, number, save

RETURNS = "final_return"
"""The column of a sweep's table that holds the returns of the seeds; the others are grid axes."""


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
    output = checked_output(output)
    if not table:
        raise UserError("the sweep's table is empty: there is nothing to draw")
    names = [name for name in table[0] if name != RETURNS]
    plain = lambda value: value if _is_number(value) else str(value)
    table = [{name: value if name == RETURNS else plain(value) for name, value in row.items()} for row in table]
    varied = [name for name in names if len({row[name] for row in table}) > 1]
    returns = [np.asarray(row[RETURNS], float).reshape(-1) for row in table]
    means = np.array([r.mean() for r in returns])
    best = int(np.nanargmax(means)) if np.isfinite(means).any() else None

    figure, (axes,) = new_figure()
    draw = {1: _sweep_line, 2: _sweep_map}.get(len(varied), _sweep_ranking)
    draw(figure, axes, table, varied, returns, best)
    axes.set_title(title, loc="left", fontweight="bold")
    found = "no setting has a finite return"
    if best is not None:
        setting = ", ".join(f"{name} = {_value(table[best][name])}" for name in names)
        found = f"★ best: {setting or 'the defaults'}, with a final return of {_spread(returns[best])}"
    count = max(len(r) for r in returns)
    over = f"means over {count} seeds with 95 % bootstrap intervals over the seeds" if count > 1 else "one seed"
    limits = {1: ("The y axis", axes.get_ylim), 2: None}.get(len(varied), ("The x axis", axes.get_xlim))
    notes = [magnified(limits[0], *limits[1]())] if limits else []
    figure.supxlabel("\n".join([found, over, *filter(None, notes)]), fontsize=8, color="0.3")
    return save(figure, output)


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
    mean, low, high = np.array([bootstrap(r) for r in returns]).T
    colour = COLOURS[0]
    for i, r in enumerate(returns):
        axes.plot(np.full(len(r), x[i]), r, "o", color=colour, alpha=0.25, markersize=4, markeredgewidth=0, zorder=2)
    if numeric:
        axes.fill_between(x[order], low[order], high[order], color=colour, alpha=0.2, linewidth=0, zorder=1)
        axes.plot(x[order], mean[order], "-o", color=colour, linewidth=2, markersize=5, zorder=3)
        if _log_spaced(np.unique(x)):
            axes.set_xscale("log")
        if len(x) <= 10:
            axes.set_xticks(x[order], [_value(values[i]) for i in order])
            axes.minorticks_off()
    else:
        axes.errorbar(x, mean, _arms(mean, low, high), fmt="o", color=colour, capsize=4, markersize=6, zorder=3)
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
            text = f"{number(image[r, c])}" if np.isfinite(image[r, c]) else "not finite"
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
        interval = np.array(bootstrap(returns[i]))
        arms, colour = _arms(*interval[:, None]), COLOURS[1] if i == best else COLOURS[0]
        axes.errorbar(interval[0], place, xerr=arms, fmt="*" if i == best else "o", color=colour, capsize=3)
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


def _arms(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Lengths of error bars below and above, ``[2, ...]``."""
    return np.nan_to_num(np.stack([mean - low, high - mean]))


def _spread(values: np.ndarray) -> str:
    mean, low, high = bootstrap(values)
    return number(mean) if len(values) == 1 else f"{number(mean)} ({number(low)} to {number(high)})"
