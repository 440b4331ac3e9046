"""Making environments by name, from compiled suites, from Gymnasium and from modules of one's own."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import gymnasium

from jaxrl.envs import gymnasium_adapter
from jaxrl.envs.actions import without_bounds
from jaxrl.envs.environment import Environment
from jaxrl.envs.errors import told
from jaxrl.envs.host import HostEnvironment
from jaxrl.envs.image_axes import channels_last
from jaxrl.envs.wrappers import raw_actions
from jaxrl.threads import enough_threads
from jaxrl.validation import did_you_mean, require

SUITES = {
    "gymnax": "jaxrl.envs.gymnax_adapter",
    "gymnasium": "jaxrl.envs.gymnasium_adapter",
    "atari": "jaxrl.envs.atari_adapter",
    "brax": "jaxrl.envs.brax_adapter",
    "playground": "jaxrl.envs.playground_adapter",
}
"""Modules with ``names()`` and ``make(name, **parameters)``, by prefix; earlier ones are preferred."""

_registered: dict[str, Callable[..., Any]] = {}


@enough_threads()
def make(
    id: str, *, clip_actions: bool = True, channels_first: bool = False, **parameters: Any
) -> Environment | HostEnvironment:
    """Make an environment.

    Args:
        id: a name that was given to ``register``; an id of a suite, of which a compiled one is preferred
            (``"CartPole-v1"``); the same with a prefix that chooses (``"gymnax:CartPole-v1"``,
            ``"gymnasium:CartPole-v1"``, ``"atari:Pong"``); ``"module.path:factory"``, a function of yours; or
            ``"module.path:Namespace/Name-v0"``, an id that the module registers with Gymnasium.
        clip_actions: whether actions of a ``Box`` are clipped to ``[-1, 1]`` and mapped to its bounds; else they reach
            the environment as they are (``raw_actions``).
        channels_first: whether its images are ``[C, H, W]`` and to be shown as ``[H, W, C]`` (``channels_last``).
        **parameters: passed to what makes it: parameters of a gymnax environment, ``Options`` of an Atari game,
            keyword arguments of ``gymnasium.make`` or of your factory. ``max_episode_steps`` sets the time limit
            in gymnax and Gymnasium.

    Raises:
        ValueError: if there is no such environment (with the nearest names) or parameter.
        ImportError: if a package that it needs is not installed (with the line that installs it).
        TypeError: if a factory returns something else than an environment.
    """
    require(
        isinstance(id, str) and bool(id.strip()), "env", id, 'must be the name of an environment, such as "CartPole-v1"'
    )
    for field, value in {"clip_actions": clip_actions, "channels_first": channels_first}.items():
        require(isinstance(value, bool), field, value, "must be true or false")
    limit = parameters.get("max_episode_steps")
    positive = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
    require(limit is None or positive, "max_episode_steps", limit, "must be a positive integer")
    env = _made(id, clip_actions, parameters)
    if channels_first:
        env = channels_last(env)
    if clip_actions or without_bounds(env.action_space) == env.action_space:
        return env
    require(
        isinstance(env, Environment), "clip_actions", False,
        f"{id} makes its host environment itself: leave actions alone there (from_gymnasium and its like can)",
    )  # fmt: skip
    return raw_actions(env)


def _made(id: str, clip_actions: bool, parameters: dict[str, Any]) -> Environment | HostEnvironment:
    """What an id stands for; adapters of host environments are told about the actions, for others it is to be done."""
    if id in _registered:
        return _adapt(_registered[id], clip_actions, parameters, id)
    prefix, _, rest = id.partition(":")
    if rest and prefix in SUITES:
        return _make_in(prefix, rest, clip_actions, parameters)
    if rest:
        module = _module(prefix, id)
        if not hasattr(module, rest) and ("/" in rest or re.search(r"-v\d+$", rest)):
            return _make_in(gymnasium_adapter.PREFIX, id, clip_actions, parameters)
        return _adapt(_attribute(module, rest, id), clip_actions, parameters, id)
    for suite in SUITES:
        # Atari's ids are only known to Gymnasium once their package is imported.
        if id in _names(suite) or (suite == "gymnasium" and id.startswith("ALE/")):
            return _make_in(suite, id, clip_actions, parameters)
    known = [name for group in names().values() for name in group]
    raise ValueError(
        f"env={id!r}: there is no such environment{did_you_mean(id, known)} "
        "(`jaxrl list` shows all; module.path:factory makes your own)"
    )


def register(name: str, factory: Callable[..., Any]) -> None:
    """Give an environment of your own a name for ``make``; an earlier one of that name is replaced.

    Args:
        name: without a colon.
        factory: ``factory(**parameters)`` returns an ``Environment``, a ``HostEnvironment``, a
            ``gymnasium.Env`` (so its class will do) or a ``gymnasium.vector.VectorEnv``.
    """
    require(bool(name) and ":" not in name, "name", name, "must be a name without a colon")
    if not callable(factory):
        raise TypeError(f"factory={factory!r}: must be a function that makes an environment")
    _registered[name] = factory


def registered() -> list[str]:
    """The names that were given to ``register``."""
    return list(_registered)


def imported_by(id: str) -> str | None:
    """The module that ``make`` imports for this id, beyond the library's own adapters; None if there is none."""
    if id in _registered:
        return None
    prefix, _, rest = id.partition(":")
    if not rest:
        return None
    if prefix not in SUITES:
        return prefix
    if prefix != gymnasium_adapter.PREFIX:
        return None
    # Gymnasium's own wrappers of older environments import what their parameters say.
    module, _, name = rest.rpartition(":")
    return "gym" if name.startswith("GymV2") else module or None


def is_known(id: str) -> bool:
    """True if an id without a module's name stands for an environment in this process."""
    return id in _registered or id.startswith("ALE/") or any(id in _names(suite) for suite in SUITES)


def names() -> dict[str, list[str]]:
    """The ids of each suite that is installed, and first those of ``register``."""
    found = {"registered": registered()} if _registered else {}
    return found | {suite: ids for suite in SUITES if (ids := _names(suite))}


def _suite(suite: str) -> ModuleType:
    return importlib.import_module(SUITES[suite])


def _names(suite: str) -> list[str]:
    """The ids of a suite; none if its package is not installed."""
    try:
        return _suite(suite).names()
    except ImportError:
        return []


def _make_in(suite: str, name: str, clip_actions: bool, parameters: dict[str, Any]) -> Environment | HostEnvironment:
    more = {"clip_actions": clip_actions} if suite == gymnasium_adapter.PREFIX else {}
    return _suite(suite).make(name, **more, **parameters)


def _module(name: str, id: str) -> ModuleType:
    """The module of an id, which is someone else's program and may raise whatever it likes."""
    require(
        name.partition(".")[0] not in sys.stdlib_module_names, "env", id,
        f"{name} belongs to Python itself and makes no environments",
    )  # fmt: skip
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # some modules are scripts, which end the process
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (name == missing or name.startswith(missing + ".")):
            fix = did_you_mean(name, SUITES)
            raise ValueError(f"env={id!r}: there is no suite or module {name!r}{fix}") from error
        kind = ImportError if isinstance(error, ImportError) else ValueError
        raise kind(f"env={id!r}: importing {name} raised {told(error)}") from error


def _attribute(module: ModuleType, attribute: str, id: str) -> Callable[..., Any]:
    factory = getattr(module, attribute, None)
    if not callable(factory):
        public = [n for n in vars(module) if not n.startswith("_")]
        fix = did_you_mean(attribute, public)
        raise ValueError(f"env={id!r}: {module.__name__} has no function {attribute!r}{fix}")
    return factory


def _adapt(
    factory: Callable[..., Any], clip_actions: bool, parameters: dict[str, Any], id: str
) -> Environment | HostEnvironment:
    try:
        inspect.signature(factory).bind(**parameters)
    except TypeError as error:
        raise ValueError(
            f"env={id!r}: its factory cannot be called with the given parameters {parameters}: {error}"
        ) from error
    try:
        made = factory(**parameters)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"env={id!r}: its factory raised {told(error)}") from error
    match made:
        case Environment() | HostEnvironment():
            return made
        case gymnasium.Env():
            made.close()
            make_env = partial(factory, **parameters)
            return gymnasium_adapter.from_gymnasium(make_env, name=id, clip_actions=clip_actions)
        case gymnasium.vector.VectorEnv():
            return gymnasium_adapter.from_vector(made, name=id, clip_actions=clip_actions)
    raise TypeError(
        f"env={id!r}: its factory returned a {type(made).__name__}; "
        "it must return a jaxrl Environment or HostEnvironment, or a gymnasium.Env"
    )
