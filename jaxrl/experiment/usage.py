"""The help of ``jaxrl train ALGO`` and ``jaxrl sweep ALGO``: every option with its default, by subject."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxrl.experiment import catalog, listing
from jaxrl.experiment.groups import GROUPS, RUN_GROUPS, grouped

NOTE = """\
--hp.NAME takes a number or a schedule, such as 'linear(3e-4, 0, fraction=1)'.
--config.NAME takes a value such as 128, true or 64,64.
--env.NAME takes a parameter of the environment: jaxrl list environments ID.
Defaults are in brackets; a preset replaces some: jaxrl list presets {algorithm}."""


class Option(NamedTuple):
    """A row of the help."""

    text: str
    """``--hp.clip``, or with a placeholder ``--env ID``."""
    default: str
    meaning: str


def algorithm_in(words: Sequence[str]) -> str | None:
    """The algorithm among the words behind a subcommand; the first word if it is none, but no option; or None."""
    from jaxrl.algorithms import ALGORITHMS

    first = words[0] if words and not words[0].startswith("-") else None
    return next((word for word in words if word in ALGORITHMS), first)


def print_usage(command: str, record: type, algorithm: str) -> None:
    """Print the help of a subcommand for an algorithm.

    Args:
        command: ``train`` or ``sweep``.
        record: the dataclass of its options.
        algorithm: its name.

    Raises:
        UserError: if there is no such algorithm.
    """
    sections = {**algorithm_sections(algorithm), **run_sections(record)}
    print(f"usage: jaxrl {command} {algorithm} --env ID [OPTIONS]\n")
    print(catalog.algorithms()[algorithm])
    print(f"\n{NOTE.format(algorithm=algorithm)}")
    print_sections(sections)


def print_algorithm(algorithm: str) -> None:
    """Print the options of an algorithm, by subject."""
    sections = algorithm_sections(algorithm)
    print(f"{algorithm}: {catalog.algorithms()[algorithm]}")
    print_sections(sections)


def print_sections(sections: dict[str, list[Option]]) -> None:
    """Print a table for each title: the option, and its meaning with the default in brackets."""
    from rich.table import Table
    from rich.text import Text

    console = listing.make_console()
    width = max(len(option.text) for options in sections.values() for option in options)
    for title, options in sections.items():
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=width)
        table.add_column(overflow="fold")
        for option in options:
            default = Text(f"[{option.default}]", style="dim") if option.default else Text()
            table.add_row(Text(option.text), Text.assemble(option.meaning, " " if option.default else "", default))
        console.print()
        console.print(Text(title, style="bold"))
        console.print(table)


def algorithm_sections(algorithm: str) -> dict[str, list[Option]]:
    """The hyper-parameters and the configuration of an algorithm, by subject.

    Raises:
        UserError: if there is no such algorithm.
    """
    from jaxrl.experiment.algorithm_fields import algorithm_module, hyperparameter_defaults
    from jaxrl.experiment.values import BOUNDS, plain

    module = algorithm_module(algorithm)
    docs, options = listing.field_docs(module.Hyperparameters), {}
    for name, default in hyperparameter_defaults(module).items():
        bounds = f"({BOUNDS[name]})".replace("must be ", "") if name in BOUNDS else ""
        meaning = " ".join(filter(None, (docs.get(name, ""), bounds)))
        options[name] = Option(f"--hp.{name}", str(plain(default)), meaning)
    docs, config = listing.field_docs(module.Config), module.Config()
    for name in module.Config.__dataclass_fields__:
        meaning = " ".join(filter(None, (docs.get(name, ""), _choices(name))))
        options[name] = Option(f"--config.{name}", listing.as_text(getattr(config, name)), meaning)
    return {title: [options[name] for name in names] for title, names in grouped(options, GROUPS).items()}


def run_sections(record: type) -> dict[str, list[Option]]:
    """The options of a subcommand itself, by subject."""
    hints, docs = typing.get_type_hints(record, include_extras=True), listing.field_docs(record)
    options = {}
    for field in dataclasses.fields(record):
        if field.name == "algorithm":
            continue
        metavar, default = _shown(hints[field.name], field.default)
        flag = field.name.replace("_", "-")
        text = f"--{flag}, --no-{flag}" if field.type == "bool" else f"--{flag} {metavar}"
        options[field.name] = Option(text, default, docs.get(field.name, ""))
    return {title: [options[name] for name in names] for title, names in grouped(options, RUN_GROUPS).items()}


def _shown(hint: Any, default: Any) -> tuple[str, str]:
    """The placeholder of an option's value and its default, as the parser is told them."""
    metavar = shown = None
    for extra in getattr(hint, "__metadata__", ()):
        metavar = getattr(extra, "metavar", None) or metavar
        shown = getattr(extra, "help_behavior_hint", None) or shown
    if shown is None:
        shown = "" if default in ((), dataclasses.MISSING) else listing.as_text(default)
    return metavar or "", shown.removeprefix("(default: ").removeprefix("(").removesuffix(")")


def _choices(field: str) -> str:
    """The names that a field takes, where its description does not have them."""
    return f"One of {', '.join(catalog.activations())}." if field == "activation" else ""
