"""Completion of names at the Tab key, in bash, zsh and fish: scripts for them, and the names that they ask for.

A script calls ``jaxrl completion words WORD...`` with the words of the command line, the last of which is incomplete,
and gets a line for each way to go on; where there is none, the shell completes file names. Nothing heavy is imported,
except for the parameters of an environment (``--env.``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxrl.algorithms import NAMES
from jaxrl.experiment import catalog, flags
from jaxrl.experiment.errors import UserError

WORDS = "words"

BASH = """\
_jaxrl() {
    local IFS=$' \\t\\n' line="${COMP_LINE:0:COMP_POINT}" words current done
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    IFS=$'\\n'
    COMPREPLY=($("$1" completion words "${words[@]:1}" 2>/dev/null))
    # readline takes : and = for ends of words, and replaces only what comes after the last of them.
    done="${current%"${current##*[:=]}"}"
    COMPREPLY=("${COMPREPLY[@]#"$done"}")
}
complete -o default -F _jaxrl jaxrl
"""
ZSH = """\
#compdef jaxrl
_jaxrl() {
    local -a found
    found=("${(@f)$(${words[1]} completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _jaxrl jaxrl
"""
FISH = """\
function __jaxrl_complete
    set -l words (commandline -opc)
    $words[1] completion words $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c jaxrl -a '(__jaxrl_complete)'
"""
SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str) -> str:
    """The script of a shell.

    Raises:
        UserError: for another one.
    """
    if shell not in SHELLS:
        raise UserError(f"shell={shell!r}: must be one of {', '.join(SHELLS)}")
    return SHELLS[shell]


def candidates(words: Sequence[str], commands: Mapping[str, type]) -> list[str]:
    """The ways to complete the last of some words, which may be empty.

    Args:
        words: of the command line, without the program's name.
        commands: the subcommands and their options' records.
    """
    *before, current = words or [""]
    if not before:
        return _starting(current, commands)
    command, *before = before
    if command not in commands:
        return []
    option, equals, value = current.partition("=")
    if equals and option.startswith("--"):
        return [f"{option}={name}" for name in _values(command, option, value, before)]
    if before and before[-1].startswith("--") and (found := _values(command, before[-1], current, before)):
        return found
    if current.startswith("-"):
        return _options(command, current, before, commands)
    return _positional(command, current, before)


def _options(command: str, current: str, before: Sequence[str], commands: Mapping[str, type]) -> list[str]:
    options = ["help", "verbose", *flags.of_command(commands[command])]
    if command in ("train", "sweep"):
        if current.startswith("--env."):
            options += flags.of_environment(before)
        options += catalog.fields(algorithm) if (algorithm := _algorithm(before)) else []
    given = {word.partition("=")[0] for word in before}
    return [name for name in _starting(current, [f"--{option}" for option in options]) if name not in given]


def _values(command: str, option: str, current: str, before: Sequence[str]) -> list[str]:
    """The names that an option takes."""
    match option:
        case "--env":
            return _environments(current)
        case "--preset":
            return _starting(current, ["none", *catalog.presets(_algorithm(before))])
        case "--checkpoint":
            return _starting(current, ["latest", "best"])
        case "--reward-log":
            return _starting(current, ["true", "false"])
        case "--grid":
            names = catalog.fields(algorithm) if (algorithm := _algorithm(before)) else []
            return _starting(current, [f"{name.partition('.')[2]}=" for name in names])
    return []


def _positional(command: str, current: str, before: Sequence[str]) -> list[str]:
    if command in ("train", "sweep"):
        free = _algorithm(before) is None and not (before and before[-1].startswith("-"))
        return _starting(current, NAMES) if free else []
    if command == "completion":
        return _starting(current, SHELLS)
    if command == "list":
        topics = ["algorithms", "presets", "environments"]
        match [word for word in before if word in topics][-1:]:
            case ["environments"]:
                return _environments(current)
            case [_]:
                return _starting(current, NAMES)
        return _starting(current, topics)
    return []


def _environments(current: str) -> list[str]:
    """Ids, with a suite's prefix where one is written; else the prefixes too."""
    found = catalog.environments()
    suite, colon, _ = current.partition(":")
    if colon:
        return _starting(current, [f"{suite}:{name}" for name in found.get(suite, ())])
    ids = dict.fromkeys(name for suite, names in found.items() if suite != "atari" for name in names)
    return _starting(current, [*ids, *(f"{suite}:" for suite in found if suite != "registered")])


def _algorithm(words: Sequence[str]) -> str | None:
    return next((word for word in words if word in NAMES), None)


def _starting(current: str, names: Sequence[str] | Mapping[str, object]) -> list[str]:
    return [name for name in names if name.startswith(current)]
