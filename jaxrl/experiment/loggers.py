"""Where the reports of training go: console, CSV, Weights & Biases; TensorBoard has a file of its own.

A report is a list of rows, one for each seed: dicts with ``steps``, ``seed`` and any other numbers, such as
``seconds``, ``episode_return``, ``eval_return`` and the losses by name. NaN means that there is no value.
"""

from __future__ import annotations

import csv
import io
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxrl.experiment.console import emit, say
from jaxrl.experiment.errors import UserError, unused, writing
from jaxrl.experiment.text_files import read_table

Row = dict[str, float | int]


class Logger(Protocol):
    """Takes reports in the order of their steps."""

    def write(self, rows: Sequence[Row]) -> None:
        """Log a report: one row for each seed, all of the same ``steps``."""

    def truncate_after(self, steps: int) -> None:
        """Forget reports of later steps, before the first ``write``: the run goes on from ``steps``."""

    def flush(self) -> None:
        """Hand what was written to the operating system: no kill of this process loses it after that."""

    def close(self) -> None:
        """Write out what is left."""


class MultiLogger:
    """Several loggers as one.

    Args:
        loggers: they get each report in this order, and all of them are closed even if one fails.
    """

    def __init__(self, loggers: Sequence[Logger]):
        self.loggers = list(loggers)

    def write(self, rows: Sequence[Row]) -> None:
        for logger in self.loggers:
            logger.write(rows)

    def truncate_after(self, steps: int) -> None:
        for logger in self.loggers:
            logger.truncate_after(steps)

    def flush(self) -> None:
        for logger in self.loggers:
            logger.flush()

    def close(self) -> None:
        errors = []
        for logger in self.loggers:
            try:
                logger.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


class CSVLogger:
    """Rows of a CSV file, on disk after each report.

    Floats have nine digits, enough to tell any two float32 apart; NaN is an empty field. A last line that was
    cut off by a kill is dropped when the file is opened again.

    Args:
        path: of the file, which is appended to if it is there.

    Raises:
        UserError: if it cannot be written, now or later.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._columns: list[str] = []
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self._columns, rows, bad = read_table(self.path)
                if (self._columns and not {"steps", "seed"} <= {*self._columns}) or (bad and not rows):
                    raise UserError(f"{self.path} is not the table of a run: put it right, or remove it")
                if bad:
                    copy = unused(self.path.with_name(f"{self.path.name}.damaged"))
                    shutil.copyfile(self.path, copy)
                    say(f"{len(bad):,} rows of {self.path} are damaged or doubled and left out; the old file is {copy}")
                self._rewrite(rows)
            self._file = self.path.open("a")

    def write(self, rows: Sequence[Row]) -> None:
        new = list(dict.fromkeys(name for row in rows for name in row if name not in self._columns))
        with writing(self.path):
            if new:
                self._replace(read_table(self.path)[1], [*self._columns, *new])
            self._file.write(_lines([_format(row.get(name, math.nan)) for name in self._columns] for row in rows))
            self._file.flush()

    def truncate_after(self, steps: int) -> None:
        rows = read_table(self.path)[1]
        kept = [row for row in rows if int(row["steps"]) <= steps]
        if len(kept) < len(rows):
            with writing(self.path):
                self._replace(kept, self._columns)

    def flush(self) -> None:
        """Nothing: each report is flushed."""

    def close(self) -> None:
        with writing(self.path):
            self._file.close()

    def _replace(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self._file.close()
        self._columns = columns
        self._rewrite(rows)
        self._file = self.path.open("a")

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        """Write the whole file anew, such that a kill leaves either the old or the new one."""
        partial = self.path.with_name(f".{self.path.name}.new")
        lines = [self._columns, *([row.get(name, "") for name in self._columns] for row in rows)]
        partial.write_text(_lines(lines) if self._columns else "")
        os.replace(partial, self.path)


def read_csv(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The columns of a ``metrics.csv`` as float64 ``[rows]``; NaN where a field is empty.

    Rows that cannot be read are left out, which is told.

    Raises:
        UserError: if it is missing, unreadable, or not a table of numbers.
    """
    path = Path(path)
    try:
        columns, rows, bad = read_table(path)
    except FileNotFoundError:
        raise UserError(f"there is no {path.name} in {path.parent}: is it the folder of a run?") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if columns and ("steps" not in columns or (bad and not rows)):
        wrong = "it has no column steps" if "steps" not in columns else f"there is a row {bad[0][:60]!r}"
        raise UserError(f"{path} is not a table of numbers: {wrong}")
    if bad:
        say(f"{len(bad):,} of {len(bad) + len(rows):,} rows of {path} are damaged or doubled and left out")
    return {name: np.array([float(row[name] or math.nan) for row in rows]) for name in columns}


class ConsoleLogger:
    """A line for each report that has an evaluation, as means over the seeds.

    Args:
        every_report: whether reports without an evaluation get a line too.
    """

    def __init__(self, every_report: bool = False):
        self.every_report = every_report

    def write(self, rows: Sequence[Row]) -> None:
        if not rows or not (self.every_report or any(_known(row, "eval_return") for row in rows)):
            return
        parts = [f"step {rows[0]['steps']:,}"]
        for name in ("eval_return", "episode_return", "loss", "steps_per_second"):
            values = [row[name] for row in rows if _known(row, name)]
            if values:
                spread = f" ± {np.std(values, ddof=1):.3g}" if len(values) > 1 and name == "eval_return" else ""
                parts.append(f"{name} {_short(float(np.mean(values)))}{spread}")
        # Looked up now: a live progress bar puts a stream of its own in place.
        emit("  ".join(parts), sys.stdout)

    def truncate_after(self, steps: int) -> None:
        """Nothing: what is printed is printed."""

    def flush(self) -> None:
        """Nothing: each line is flushed."""

    def close(self) -> None:
        """Nothing is left to write."""


class WandbLogger:
    """One run of Weights & Biases: ``seed_N/NAME`` for each seed, and ``NAME`` for the mean over the seeds.

    It works offline, with the environment variable ``WANDB_MODE=offline``. Loggers that are made for the same
    directory continue one run.

    Args:
        project: where the run is filed.
        config: the run's settings.
        directory: the run's folder, where wandb puts its files too; its name is the name of the run. Nothing is
            written before the first report.
        group: files runs that belong together, such as those of a sweep.

    Raises:
        UserError: if wandb is not installed; at the first report, if it refuses to start.
    """

    def __init__(
        self,
        project: str,
        config: dict[str, Any] | None = None,
        directory: str | os.PathLike | None = None,
        group: str | None = None,
    ):
        try:
            import wandb
        except ImportError:
            raise UserError("logging to Weights & Biases needs wandb: pip install 'jaxrl[wandb]'") from None
        self._wandb, self._run = wandb, None
        self.project, self.config, self.group = project, config, group
        self.directory = None if directory is None else Path(directory).absolute()

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        names = dict.fromkeys(name for row in rows for name in row if name not in ("steps", "seed"))
        report: dict[str, float | int] = {"steps": rows[0]["steps"]}
        for name in names:
            values = {row["seed"]: row[name] for row in rows if _known(row, name)}
            if values:
                report[name] = float(np.mean(list(values.values())))
            if len(rows) > 1:
                report |= {f"seed_{seed}/{name}": value for seed, value in values.items()}
        if self._run is None:
            self._run = self._start()
        self._run.log(report, step=int(rows[0]["steps"]))

    def truncate_after(self, steps: int) -> None:
        """Nothing: wandb itself ignores reports of steps that it has."""

    def flush(self) -> None:
        """Nothing: wandb has a process of its own, which outlives this one."""

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()

    def _start(self) -> Any:
        name = run_id = None
        if self.directory is not None:
            with writing(self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
                run_id = _persistent_id(self.directory / ".wandb_id")
            name = self.directory.name
        try:
            return self._wandb.init(
                project=self.project, config=self.config, dir=self.directory, name=name,
                group=self.group or name, id=run_id, resume="allow",
            )  # fmt: skip
        except Exception as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise UserError(f"wandb could not start ({reason}); log in, or set WANDB_MODE=offline") from error


def _lines(rows: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _format(value: float | int) -> str:
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    value = float(value)
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"{value:.9g}"


def _known(row: Row, name: str) -> bool:
    return name in row and not math.isnan(row[name])


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _persistent_id(path: Path) -> str:
    """An id that stays the same for all who ask in one folder."""
    if not path.exists():
        path.write_text(os.urandom(6).hex())
    return path.read_text().strip()
