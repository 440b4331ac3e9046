"""The parameters that an environment takes (``--env.NAME``), with their defaults."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from jaxrl.experiment import catalog, flags
from jaxrl.experiment.errors import UserError
from jaxrl.validation import did_you_mean


class Parameter(NamedTuple):
    """A keyword argument of ``jaxrl.envs.make``."""

    name: str
    default: Any
    meaning: str = ""


OTHERS = Parameter("*", "", "Further ones, which it passes on.")
_EVERYWHERE = [
    Parameter("clip_actions", True, "Clip actions to [-1, 1] and map them to a Box's bounds; false: leave them alone.")
]
_LIMIT = "Steps after which an episode is truncated."


def parameters(env: str) -> list[Parameter]:
    """The parameters of an environment, by its id.

    Raises:
        UserError: if there is no such environment, or its package is not installed.
    """
    suite, name = resolve(env)
    try:
        return [*_OF_SUITE[suite](name), *_EVERYWHERE]
    except UserError:
        raise
    except Exception as error:  # whatever a package that is not installed, or a module of the user's, raises
        text = " ".join(str(error).split())
        raise UserError(f"env={env!r}: its parameters cannot be listed: {type(error).__name__}: {text}") from error


def resolve(env: str) -> tuple[str, str]:
    """The suite of an id and its name there; the suite is ``factory`` for one of the user's own.

    Raises:
        UserError: if there is no such environment; it names the nearest.
    """
    found = catalog.environments()
    prefix, _, rest = env.partition(":")
    if env in found.get("registered", ()) or (rest and prefix not in catalog.SUITES):
        return "factory", env
    if rest:
        return prefix, rest
    if env.startswith("ALE/"):
        return "gymnasium", env
    for suite, names in found.items():
        if env in names:
            return suite, env
    hint = did_you_mean(env, [name for names in found.values() for name in names])
    raise UserError(f"env={env!r}: there is no such environment{hint} (`jaxrl list environments` shows all)")


def unknown(env: str, given: Mapping[str, Any]) -> UserError | None:
    """The error of the first given parameter that an environment does not take, or None if it takes all."""
    try:
        known = [parameter.name for parameter in parameters(env)]
    except UserError:
        return None
    for name in given:
        if name not in known and OTHERS.name not in known:
            near = f"; did you mean {meant!r}?" if (meant := flags.meant(name, known)) else did_you_mean(name, known)
            return UserError(f"env.{name}={given[name]!r}: {env} has the parameters {', '.join(known)}{near}")
    return None


def _gymnax(name: str) -> list[Parameter]:
    import gymnax

    env, params = gymnax.make(name)
    fields = [Parameter(field.name, getattr(params, field.name)) for field in dataclasses.fields(params)]
    limit = [Parameter("max_episode_steps", p.default, _LIMIT) for p in fields if p.name == "max_steps_in_episode"]
    sticky = Parameter("sticky_actions", 0.0, "Probability that the action before is taken once more.")
    return [*limit, *(p for p in fields if p.name != "max_steps_in_episode"), *_keywords(type(env)), sticky]


def _gymnasium(name: str) -> list[Parameter]:
    import gymnasium

    if name.startswith("ALE/"):
        importlib.import_module("ale_py")  # registers them
    module, _, rest = name.partition(":")
    if rest:
        importlib.import_module(module)
    try:
        spec = gymnasium.spec(rest or name)
    except gymnasium.error.Error as error:
        raise UserError(f"env={name!r}: {error}{did_you_mean(name, catalog.environments()['gymnasium'])}") from error
    entry = spec.entry_point
    made_by = gymnasium.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
    own = {p.name: p.default for p in _keywords(made_by) if p.name != "render_mode"}
    masks = Parameter("mask_from_info", False, 'Take info["action_mask"] for the actions that are allowed.')
    return [
        Parameter("max_episode_steps", spec.max_episode_steps, _LIMIT),
        *(Parameter(name, default) for name, default in {**own, **spec.kwargs}.items()),
        masks,
    ]


def _atari(name: str) -> list[Parameter]:
    from jaxrl.envs.atari_adapter import PROTOCOLS, Options
    from jaxrl.experiment.listing import field_docs

    if name not in catalog.SUITES["atari"]():
        raise UserError(f"env={name!r}: atari has no such game{did_you_mean(name, catalog.SUITES['atari']())}")
    docs = field_docs(Options)
    meaning = f"Rules of a convention, of which single ones can be changed: {', '.join(PROTOCOLS)}."
    protocol = Parameter("protocol", "classic", meaning)
    return [protocol, *(Parameter(f.name, f.default, docs.get(f.name, "")) for f in dataclasses.fields(Options))]


def _brax(name: str) -> list[Parameter]:
    import brax.envs

    from jaxrl.envs.brax_adapter import EPISODE_LENGTH

    if name not in brax.envs._envs:
        raise UserError(f"env={name!r}: brax has no such environment{did_you_mean(name, brax.envs._envs)}")
    return [Parameter("max_episode_steps", EPISODE_LENGTH, _LIMIT), *_keywords(brax.envs._envs[name])]


def _playground(name: str) -> list[Parameter]:
    from mujoco_playground import registry

    config = registry.get_default_config(name)
    limit = Parameter("max_episode_steps", config.get("episode_length"), _LIMIT)
    return [limit, *(Parameter(field, config[field]) for field in config)]


def _factory(env: str) -> list[Parameter]:
    module, _, attribute = env.partition(":")
    if attribute:
        if module.partition(".")[0] in sys.stdlib_module_names:
            raise UserError(f"env={env!r}: {module} belongs to Python itself and makes no environments")
        factory = getattr(importlib.import_module(module), attribute)
    else:
        factory = sys.modules["jaxrl.envs.registry"]._registered[env]
    return _keywords(factory)


_OF_SUITE: dict[str, Callable[[str], list[Parameter]]] = {
    "gymnax": _gymnax,
    "gymnasium": _gymnasium,
    "atari": _atari,
    "brax": _brax,
    "playground": _playground,
    "factory": _factory,
}


def _keywords(made_by: Callable[..., Any]) -> list[Parameter]:
    """The keyword arguments of a function or a class, with those of its bases where it passes others on."""
    found: dict[str, Parameter] = {}
    for i, function in enumerate(_initialisers(made_by)):
        arguments = inspect.signature(function).parameters.values()
        for argument in arguments:
            named = argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
            required = argument.default is argument.empty
            # What a base class requires, the derived one gives.
            if named and argument.name != "self" and not (required and i > 0):
                default = "(required)" if required else argument.default
                found.setdefault(argument.name, Parameter(argument.name, default))
        if not any(argument.kind == argument.VAR_KEYWORD for argument in arguments):
            return list(found.values())
    return [*found.values(), OTHERS]


def _initialisers(made_by: Callable[..., Any]) -> Iterable[Callable[..., Any]]:
    if not inspect.isclass(made_by):
        return [made_by]
    return [vars(c)["__init__"] for c in made_by.__mro__ if c is not object and "__init__" in vars(c)]
