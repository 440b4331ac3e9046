"""What there is: algorithms with their options, presets and environments, as tables for a terminal."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxrl.experiment import catalog
from jaxrl.experiment.errors import UserError

WIDE = 120
"""Columns of a terminal from which a source has a column of its own."""
TOPICS = ("algorithms", "presets", "environments")


def print_topics(topics: Mapping[str, Sequence[str]]) -> None:
    """Print the tables of some of ``TOPICS``: of all that there is, or what belongs to the given names."""
    tables = {"algorithms": print_algorithms, "presets": print_presets, "environments": print_environments}
    from jaxrl.experiment.usage import print_algorithm

    ones = {"algorithms": print_algorithm, "presets": print_presets, "environments": print_environment}
    for topic, names in topics.items():
        if not names:
            tables[topic]()
        for name in names:
            ones[topic](name)


def print_algorithms() -> None:
    """A row for each algorithm: its name and what it is."""
    title = "Algorithms (jaxrl train NAME --help shows the options of one)"
    print_table(title, ("name", "what it is"), catalog.algorithms().items())


def print_presets(algorithm: str | None = None) -> None:
    """A row for each preset: its name, the environment and the steps that it is for, its source and what differs."""
    from jaxrl.experiment.presets import PRESETS

    if algorithm is not None:
        require_algorithm(algorithm)
    presets = [PRESETS[name] for name in catalog.presets(algorithm)]
    steps = lambda preset: f"{preset.total_steps:,} steps" if preset.total_steps else ""
    rows = [(p.name, preset_env(p), steps(p), p.provenance) for p in presets]
    title = "Presets (train takes ALGO/ENV by itself, another is chosen with --preset NAME)"
    if make_console().width >= WIDE:
        print_table(title, ("name", "environment", "steps", "source"), rows)
    else:
        _print_stacked(title, rows)


def preset_env(preset: Any) -> str:
    """A preset's environment with its parameters: ``Pong protocol=classic``."""
    return " ".join([preset.env, *(f"{name}={as_text(value)}" for name, value in preset.env_parameters.items())])


def print_environments() -> None:
    """The ids of each suite; a prefix such as ``gymnasium:`` chooses between two that have the same."""
    console = make_console()
    for suite, ids in catalog.environments().items():
        console.print(f"\n[bold]Environments of {suite}[/bold] ({len(ids)})", highlight=False)
        text = textwrap.fill(", ".join(ids), width=console.width, break_on_hyphens=False, break_long_words=False)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_environment(env: str) -> None:
    """The parameters of an environment: option, default and meaning."""
    from jaxrl.experiment.env_parameters import parameters

    rows = [(f"--env.{p.name}", as_text(p.default), p.meaning) for p in parameters(env)]
    print_table(f"Parameters of {env}", ("option", "default", "meaning"), rows)


def require_algorithm(name: str) -> None:
    """Raise unless there is such an algorithm; the error names the nearest."""
    from jaxrl import algorithms

    if name not in algorithms.ALGORITHMS:
        try:
            algorithms.get(name)
        except ValueError as error:
            raise UserError(str(error)) from None


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table, as wide as it needs to be when the output is not a terminal."""
    from rich.table import Table
    from rich.text import Text

    console = make_console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


def _print_stacked(title: str, rows: Iterable[Sequence[str]]) -> None:
    """Print the last cell of each row below the others."""
    from rich.padding import Padding
    from rich.text import Text

    console = make_console()
    console.print()
    console.print(Text(title, style="bold"))
    for *cells, last in rows:
        console.print(Text("  ".join(filter(None, cells)), style="cyan"))
        console.print(Padding(Text(last), (0, 0, 0, 4)))


def field_docs(record: type) -> dict[str, str]:
    """The strings that stand below the fields of a dataclass and of those that it is derived from, by field."""
    docs = {}
    for base in reversed(record.__mro__[:-1]):
        docs |= _own_field_docs(base)
    return docs


def _own_field_docs(record: type) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0].body
    except (OSError, SyntaxError):
        return {}
    docs = {}
    for field, after in zip(body[:-1], body[1:], strict=True):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split()).replace("``", "")
    return docs


def as_text(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(as_text, value)) or "()"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def make_console() -> Any:
    """A console as wide as the terminal, or wide where there is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)
