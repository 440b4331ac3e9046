"""The command ``jaxrl``: train, eval, play, plot, sweep, list and completion.

Exit status: 0 done; 1 the run diverged; 2 something that the user can put right; 3 an error of jaxrl itself;
128 + N stopped by signal N.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import platform
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro

from jaxrl.experiment import completion, flags, usage
from jaxrl.experiment.commands import COMMANDS, Completion, Eval, List, Play, Plot, Sweep, Train
from jaxrl.experiment.console import emit, forgiving_streams
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.startup import prepare_jax

UNEXPECTED = 3
"""Exit status of an error that is nobody's but ours."""

PREFIXES = ("hp", "config", "env")
"""Options with a dot: what comes after it depends on the algorithm or the environment."""


DYNAMIC_HELP = """\
Options of the algorithm and of the environment:
  --hp.NAME VALUE      a hyper-parameter: a number, or a schedule such as 'linear(2.5e-4, 0, fraction=1.0)'
  --config.NAME VALUE  a field of the configuration, such as 128, true or 64,64
  --env.NAME VALUE     a parameter of the environment
`jaxrl train ALGO --help` shows those of an algorithm, `jaxrl list environments ID` those of an environment."""

DESCRIPTION = "Deep reinforcement learning in JAX. With --verbose, errors come with their traceback."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, of this process or the given one; returns the exit status."""
    if argv is not None:
        return _main(list(argv))
    _silence_failed_writes()
    argv = sys.argv[1:]
    with forgiving_streams(lasting=argv[:1] in (["train"], ["sweep"])) as status_of_process:
        return status_of_process(_main(argv))


def _main(argv: list[str]) -> int:
    if argv[:2] == ["completion", completion.WORDS]:
        with contextlib.suppress(Exception):  # a message would end up in the user's line
            for word in completion.candidates(argv[2:], COMMANDS):
                print(word)
        return 0
    verbose = "--verbose" in argv
    argv = [word for word in argv if word != "--verbose"]
    try:
        _find_own_modules()
        argv, dynamic = extract_dynamic(argv)
        help_wanted = not argv or "-h" in argv or "--help" in argv
        if argv[:1] == ["--version"]:
            print(_versions())
            return 0
        if not help_wanted:
            flags.check(argv, COMMANDS)
        elif argv[:1] in (["train"], ["sweep"]) and (algorithm := usage.algorithm_in(argv[1:])):
            usage.print_usage(argv[0], COMMANDS[argv[0]], algorithm)
            return 0
        box = io.StringIO()
        try:
            with contextlib.redirect_stderr(box):
                command = tyro.extras.subcommand_cli_from_dict(
                    COMMANDS, args=[*argv[:1], "--help"] if help_wanted else argv, prog="jaxrl",
                    description=DESCRIPTION, sort_subcommands=False,
                )  # fmt: skip
        except SystemExit as stop:
            if stop.code == 2:
                raise UserError(flags.sentence_of_box(box.getvalue())) from None
            if help_wanted and argv[:1] in (["train"], ["sweep"]):
                print(f"\n{DYNAMIC_HELP}")
            return stop.code if isinstance(stop.code, int) else 0
        if not isinstance(command, Train | Sweep) and any(dynamic.values()):
            raise UserError("--hp, --config and --env options belong to train and sweep")
        return _run(command, dynamic)
    except KeyboardInterrupt as stop:
        emit(f"jaxrl: {str(stop) or 'stopped'}", sys.stderr)
        return 128 + getattr(stop, "signum", 2)
    except UserError as error:
        _show_traceback(error, verbose)
        # A word that nobody can read to its end, such as a wrong name of 3,000 letters, is cut.
        emit("jaxrl: error: " + re.sub(r"(\S{300})\S+", r"\1...", str(error)), sys.stderr)
        return getattr(error, "status", 2)
    except Exception as error:
        _show_traceback(error, verbose)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        hint = "" if verbose else " (--verbose shows where)"
        emit(f"jaxrl: error: this should not have happened, please report it{hint}: {text}", sys.stderr)
        return UNEXPECTED


def _find_own_modules() -> None:
    """Let ``--env my_module:make_env`` find modules in the working directory."""
    try:
        here = os.getcwd()
    except OSError:
        raise UserError("the working directory has been removed: change to another one") from None
    if here not in sys.path:
        sys.path.append(here)


def _show_traceback(error: Exception, verbose: bool) -> None:
    if verbose:
        emit("".join(traceback.format_exception(error)), sys.stderr)


def extract_dynamic(argv: Sequence[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Take ``--hp.NAME VALUE`` and its like out of the arguments; ``--hp.NAME=VALUE`` does as well.

    Raises:
        UserError: if there is no value.
    """
    rest: list[str] = []
    found: dict[str, dict[str, str]] = {prefix: {} for prefix in PREFIXES}
    words = iter(argv)
    for word in words:
        match = re.fullmatch(rf"--({'|'.join(PREFIXES)})\.([^=]+)(?:=(.*))?", word, re.DOTALL)
        if match is None:
            rest.append(word)
            continue
        prefix, name, value = match.groups()
        value = next(words, None) if value is None else value
        if value is None or value.startswith("--"):
            raise UserError(f"--{prefix}.{name} needs a value")
        found[prefix][name.replace("-", "_")] = value
    return rest, found


def parse_grid(options: Sequence[str]) -> dict[str, list[str]]:
    """``["learning_rate=1e-3,1e-4"]`` to ``{"learning_rate": ["1e-3", "1e-4"]}``.

    Raises:
        UserError: if an option is not of that form, or a name is given twice.
    """
    from jaxrl.experiment.values import split_top_level

    grid: dict[str, list[str]] = {}
    for option in options:
        name, equals, values = option.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not values.strip():
            raise UserError(f"--grid {option}: must be NAME=a,b,c")
        if name in grid:
            raise UserError(f"--grid {option}: {name} is given twice")
        grid[name] = [value for value in split_top_level(values) if value]
    return grid


def _silence_failed_writes() -> None:
    """Keep the threads under Orbax from printing tracebacks of a write that failed, which is reported as an error."""
    hook = sys.unraisablehook

    def quieter(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    sys.unraisablehook = quieter
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)


def _run(command: Any, dynamic: dict[str, dict[str, str]]) -> int:
    actions: dict[type, Callable[..., None]] = {
        Train: _train, Eval: _eval, Play: _play, Plot: _plot, Sweep: _sweep, List: _list, Completion: _completion,
    }  # fmt: skip
    arguments = (command, dynamic) if isinstance(command, Train | Sweep) else (command,)
    actions[type(command)](*arguments)
    return 0


def _train(command: Train, dynamic: dict[str, dict[str, str]]) -> None:
    options = dataclasses.asdict(command)
    directory, out = options.pop("resume"), options.pop("out")
    options |= _overrides(dynamic)
    if directory is not None:
        if out is not None:
            raise UserError("--out does not go with --resume: the run goes on in its own folder")
        from jaxrl.experiment import run, settings

        stored = settings.load(directory)
        progress, wandb = options.pop("progress"), options.pop("wandb")
        settings.require_same(stored, options)
        prepare_jax(stored.num_seeds, stored.env, settings.has_large_products(stored))
        _report(run.resume(directory, env=command.env, wandb=wandb, progress=progress))
        return
    if command.algorithm is None:
        from jaxrl.algorithms import ALGORITHMS

        raise UserError(f"which algorithm? jaxrl train ALGO --env ID, where ALGO is one of {', '.join(ALGORITHMS)}")
    if command.env is None:
        raise UserError(f"which environment? jaxrl train {command.algorithm} --env ID (see jaxrl list environments)")
    options |= {"seed": command.seed or 0, "num_seeds": 1 if command.num_seeds is None else command.num_seeds}
    prepare_jax(max(1, options["num_seeds"]), command.env, _has_large_products(options))
    from jaxrl.experiment import run

    _report(run.train(out=out, **options))


def _has_large_products(options: Mapping[str, Any]) -> bool:
    from jaxrl.experiment import settings

    names = ("total_steps", "preset", "config")
    try:
        made = settings.make_settings(options["algorithm"], options["env"], **{name: options[name] for name in names})
    except UserError:
        return False  # that it cannot be is said by ``run.train``, with all that may be wrong
    return settings.has_large_products(made)


def _overrides(dynamic: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The arguments of ``train`` that the options with a dot stand for."""
    return {
        "hp": dynamic["hp"] or None,
        "config": dynamic["config"] or None,
        "env_parameters": dynamic["env"] or None,
    }


def _report(result: Any) -> None:
    returns, summary = result.final_return, result.summary
    seeds = f" (mean of {len(returns)} seeds, lowest {returns.min():.1f})" if len(returns) > 1 else ""
    speed = f"{summary['steps_per_second']:,.0f} steps/s, {summary['wall_seconds']:.1f} s"
    print(f"final return {returns.mean():.1f}{seeds}, {speed}")
    print(f"the run is in {result.directory} (jaxrl play {result.directory} shows it)")


def _eval(command: Eval) -> None:
    stored = _stored(command.directory)
    prepare_jax(stored.num_seeds, stored.env)
    import numpy as np

    from jaxrl.experiment.run import evaluate_run

    report = evaluate_run(
        command.directory,
        num_episodes=command.episodes,
        deterministic=not command.stochastic,
        checkpoint=_checkpoint(command.checkpoint),
        env=command.env,
    )
    returns, lengths = report.evaluation.episode_return, report.evaluation.episode_length
    cells = lambda name, own, steps: (
        name, *(f"{x:.2f}" for x in (np.mean(own), np.std(own), np.min(own), np.max(own), np.mean(steps))),
    )  # fmt: skip
    rows = [cells(*seed) for seed in zip(report.settings.seeds, returns, lengths, strict=True)]
    if len(rows) > 1:
        rows.append(cells("all", returns, lengths))
    kind = "stochastic" if command.stochastic else "deterministic"
    columns = ("seed", "mean return", "deviation over episodes", "lowest", "highest", "length")
    episodes = f"{returns.shape[1]} {kind} episodes for each seed"
    title = f"{report.settings.algorithm} on {report.settings.env}, step {report.step}: {episodes}"
    _listing().print_table(title, columns, rows, right=columns[1:])
    if len(rows) > 1:
        print(f"the means of the {len(returns)} seeds deviate by {np.std(returns.mean(axis=1), ddof=1):.2f}")


def _play(command: Play) -> None:
    stored = _stored(command.directory)
    prepare_jax(1, stored.env)
    from jaxrl.experiment.play import play

    played = play(
        command.directory, out=command.out, window=command.window or None, num_episodes=command.episodes,
        seed=command.seed, checkpoint=_checkpoint(command.checkpoint), deterministic=not command.stochastic,
        max_steps=command.max_steps, fps=command.fps, env=command.env,
    )  # fmt: skip
    print(f"the policy of seed {played.seed} at step {played.step}")
    for i, (total, length) in enumerate(zip(played.episode_return, played.episode_length, strict=True)):
        print(f"episode {i + 1}: return {total:.1f}, {length} steps")
    if played.path is not None:
        print(f"the video is {played.path}")


def _plot(command: Plot) -> None:
    from jaxrl.experiment.plots import plot_runs

    if not command.directories:
        raise UserError("which runs? jaxrl plot DIR...")
    options = {"metric": command.metric, "smooth": command.smooth, "labels": command.labels}
    print(f"the picture is {plot_runs(command.directories, command.out, **options)}")


def _sweep(command: Sweep, dynamic: dict[str, dict[str, str]]) -> None:
    grid = parse_grid(command.grid)
    settings = 1
    for values in grid.values():
        settings *= len(values)
    prepare_jax(max(1, settings * command.seeds), command.env)
    from jaxrl.experiment import grid as sweeps

    result = sweeps.sweep(
        command.algorithm, env=command.env, grid=grid, total_steps=command.total_steps, num_seeds=command.seeds,
        seed=command.seed, out=command.out, preset=command.preset, reward_shift=command.reward_shift,
        reward_scale=command.reward_scale, reward_clip=command.reward_clip, reward_log=command.reward_log,
        **_overrides(dynamic),
    )  # fmt: skip
    names = list(result.settings[0].values)
    rows = [
        (
            *map(sweeps.text, s.values.values()),
            f"{s.mean:.2f}",
            f"{s.final_return.std(ddof=1):.2f}" if command.seeds > 1 else "",
            f"{s.final_return.min():.2f}",
        )
        for s in result.settings
    ]
    measured = ("mean final return", "deviation over seeds", "lowest seed")
    title = f"{command.algorithm} on {command.env}, {command.seeds} seeds, best first ({result.seconds:.1f} s)"
    _listing().print_table(title, (*names, *measured), rows, right=measured)
    print(f"\nthe sweep is in {result.directory}")


def _list(command: List) -> None:
    listing = _listing()
    topics: dict[str, list[str]] = {}
    for word in command.topics:
        if word in listing.TOPICS:
            names = topics.setdefault(word, [])
        elif topics:
            names.append(word)
        else:
            from jaxrl.experiment.values import unknown_name

            raise unknown_name("topic", word, listing.TOPICS)
    listing.print_topics(topics or dict.fromkeys(listing.TOPICS, ()))


def _completion(command: Completion) -> None:
    print(completion.script(command.shell), end="")


def _stored(directory: Path) -> Any:
    from jaxrl.experiment import settings

    return settings.load(directory)


def _checkpoint(text: str) -> Any:
    if text in ("latest", "best"):
        return text
    if not text.isdecimal():
        raise UserError(f"checkpoint={text!r}: must be latest, best, or a number of steps")
    return int(text)


def _versions() -> str:
    """The library's version, and those of what it stands on, without importing them."""
    from importlib.metadata import version

    from jaxrl import __version__

    return f"jaxrl {__version__} (jax {version('jax')}, python {platform.python_version()})"


def _listing() -> Any:
    from jaxrl.experiment import listing

    return listing


if __name__ == "__main__":
    raise SystemExit(main())
