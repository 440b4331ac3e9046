"""The option that somebody meant: the nearest of ours, or that of another library's name."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from jaxrl.algorithms import NAMES
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.synonyms import NOTES, SYNONYMS
from jaxrl.validation import did_you_mean


def of_command(record: type) -> list[str]:
    """The options of a subcommand, without the two dashes, as they are written."""
    options = []
    for field in dataclasses.fields(record):
        if "Positional" in str(field.type):
            continue
        options.append(field.name.replace("_", "-"))
        if field.type == "bool":  # not ``FlagCreatePairsOff``
            options.append("no-" + options[-1])
    return options


def of_algorithm(name: str | None) -> list[str]:
    """``hp.NAME`` and ``config.NAME`` of an algorithm, or of all of them where it is not known which."""
    from jaxrl.algorithms import ALGORITHMS

    modules = [ALGORITHMS[name]] if name in ALGORITHMS else ALGORITHMS.values()
    fields = {f"hp.{field}": None for m in modules for field in m.Hyperparameters.__dataclass_fields__}
    return list(fields | {f"config.{field}": None for m in modules for field in m.Config.__dataclass_fields__})


def unknown(words: Iterable[str], options: Sequence[str]) -> str | None:
    """The first option among the words of a command line that is none of ``options``, nor a number such as ``-inf``."""
    known = {"help", *options}
    for word in words:
        match = re.fullmatch(r"--?([A-Za-z][^=\s]*)(=.*)?", word, re.DOTALL)
        if match and not _is_number(word) and not (word.startswith("--") and match[1].replace("_", "-") in known):
            return word.partition("=")[0]
    return None


def _is_number(word: str) -> bool:
    try:
        return not math.isnan(float(word))
    except ValueError:
        return False


def meant(name: str, options: Sequence[str]) -> str | None:
    """The option that a name stands for: that of this name in another group, a synonym's, the nearest, or None.

    Args:
        name: without dashes in front, such as ``lr`` or ``batch-size``.
        options: those that there are, such as ``total-steps``, ``hp.clip`` and ``env.gravity``.
    """
    wanted = _bare(name)
    by_name: dict[str, str] = {}
    for option in options:
        by_name.setdefault(_bare(option), option)
    if wanted in by_name:
        return by_name[wanted]
    synonyms: dict[str, str] = {}
    for targets, words in SYNONYMS:
        if found := [target for target in targets.split() if target in options]:
            synonyms |= {word: found[0] for word in words.split() if word not in synonyms}
    if wanted in synonyms:
        return synonyms[wanted]
    whole = [bare for bare in by_name if len(wanted) > 2 and bare.startswith(wanted)]
    if len(whole) == 1:
        return by_name[whole[0]]
    near = difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.7)
    if near:
        return by_name[near[0]]
    near = difflib.get_close_matches(wanted, synonyms, n=1, cutoff=0.8) if len(wanted) > 3 else []
    return synonyms[near[0]] if near else None


def hint(name: str, options: Sequence[str]) -> str:
    """``"; did you mean --hp.learning_rate?"``, or what to do instead, or nothing."""
    if (option := meant(name, options)) is not None:
        return f"; did you mean --{option}?"
    return f"; {NOTES[_bare(name)]}" if _bare(name) in NOTES else ""


def field_hint(name: str, group: str, hyperparameters: Iterable[str], config: Iterable[str]) -> str:
    """The same for ``--hp.NAME`` or ``--config.NAME``, of which ``group`` is ``hp`` or ``config``."""
    fields = {"hp": hyperparameters, "config": config}
    order = sorted(fields, key=lambda prefix: prefix != group)
    option = meant(name, [f"{prefix}.{field}" for prefix in order for field in fields[prefix]])
    if option is None:
        return ""
    prefix, _, field = option.partition(".")
    return f"; did you mean {field!r}?" if prefix == group else f"; did you mean --{option}?"


def check(words: Sequence[str], commands: Mapping[str, type]) -> None:
    """Raise for a subcommand or an option that does not exist.

    Args:
        words: of the command line, without the options with a dot.
        commands: the subcommands and their options' records.

    Raises:
        UserError: it names the nearest.
    """
    command, *rest = words
    if command not in commands:
        if command in NAMES:
            raise UserError(f"{command} is an algorithm: jaxrl train {command} --env ID")
        kind = "option" if command.startswith("-") else "command"
        near = did_you_mean(command, commands)
        raise UserError(f"unknown {kind} {command}{near}; the first word is one of {', '.join(commands)}")
    options = of_command(commands[command])
    word = unknown(rest, options)
    if word is None:
        return
    if command in ("train", "sweep"):
        algorithm = next((other for other in rest if other in NAMES), None)
        options += [*of_algorithm(algorithm), *of_environment(rest)]
    near = hint(word.lstrip("-"), options) or f"; `jaxrl {command} --help` shows all"
    raise UserError(f"unknown option {word} of {command}{near}")


def of_environment(words: Sequence[str]) -> list[str]:
    """``env.NAME`` of the environment in a command line, as far as they are known."""
    from jaxrl.experiment.env_parameters import parameters

    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--env=") else [word])]
    id = next((after for word, after in itertools.pairwise(words) if word == "--env"), None)
    try:
        return [f"env.{parameter.name}" for parameter in parameters(id)] if id else []
    except UserError:
        return []


def _bare(option: str) -> str:
    """The name alone: ``hp.gae-lambda`` to ``gae_lambda``."""
    return option.lstrip("-").rpartition(".")[2].replace("-", "_").lower()


def sentence_of_box(text: str) -> str:
    """One sentence of the box in which tyro explains a wrong option."""
    lines = [line.strip(" │╭╮╰╯|+") for line in text.splitlines()[1:-1]]
    blocks = re.split(r"^[─-]{3,}$", "\n".join(lines), flags=re.MULTILINE)
    blocks = [" ".join(block.split()) for block in blocks]
    told = "; ".join(b for b in blocks if b and not b.startswith(("Argument helptext", "For full helptext")))
    match = re.match(r"Error parsing (\S+?): (.*)", told)
    if match is None:
        return told[:400].rstrip(".")
    # Of the alternatives of a type, the last is the one that is not None.
    reason = re.sub(r"^.*(?:>: |\)\]: )", "", match[2])
    return f"{match[1]}: " + re.sub("could not convert string to float: (.*)", r"\1 is not a number", reason)[:400]
