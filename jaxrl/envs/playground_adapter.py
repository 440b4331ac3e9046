"""Environments of MuJoCo Playground: DeepMind's control suite, locomotion and manipulation, compiled by MJX."""

from __future__ import annotations

from typing import Any

from jaxrl.envs.brax_adapter import EPISODE_LENGTH, from_brax
from jaxrl.envs.environment import Environment
from jaxrl.envs.wrappers import time_limit
from jaxrl.validation import did_you_mean

PREFIX = "playground"


def names() -> list[str]:
    """Every environment of its three suites."""
    from mujoco_playground import registry

    return list(registry.ALL_ENVS)


def make(name: str, *, max_episode_steps: int | None = None, **parameters: Any) -> Environment:
    """Make an environment of MuJoCo Playground by its name.

    Args:
        name: such as ``CartpoleBalance`` or ``Go1JoystickFlatTerrain``.
        max_episode_steps: the time limit, by default ``episode_length`` of its configuration; a truncation.
        **parameters: entries of its configuration, such as ``impl="jax"``.

    Raises:
        ValueError: if there is no such environment or entry.
        ImportError: if MuJoCo Playground is not installed.
    """
    try:
        from mujoco_playground import registry
    except ImportError as error:
        raise ImportError(f"env={name!r}: it needs a package: pip install 'jaxrl[playground]'") from error
    known = names()
    if name not in known:
        raise ValueError(f"env={name!r}: playground has no such environment{did_you_mean(name, known)}")
    config = registry.get_default_config(name)
    for field, value in parameters.items():
        if field not in config:
            choices = ", ".join(config)
            raise ValueError(f"{field}={value!r}: {name} has the entries {choices}{did_you_mean(field, config)}")
    limit = max_episode_steps or config.get("episode_length", EPISODE_LENGTH)
    return time_limit(from_brax(registry.load(name, config_overrides=parameters), name=name), limit)
