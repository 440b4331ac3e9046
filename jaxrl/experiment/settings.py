"""The settings of a run: all that is needed to build it again, and their file ``config.yaml``."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.counters import LARGEST
from jaxrl.experiment import env_parameters, presets
from jaxrl.experiment.algorithm_fields import algorithm_module, configuration, given_fields, hyperparameters
from jaxrl.experiment.errors import UserError, as_user_error, one_line, writing
from jaxrl.experiment.text_files import read_yaml
from jaxrl.experiment.values import config_value, literal, plain, shown, unknown_name
from jaxrl.types import Algorithm
from jaxrl.validation import did_you_mean

FILE = "config.yaml"


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run; hyper-parameters and configuration are complete, defaults included."""

    algorithm: str
    env: str
    total_steps: int
    """Environment steps of each seed, rounded up to whole iterations."""
    seed: int = 0
    """The first seed; the others count on from it."""
    num_seeds: int = 1
    env_object: bool = False
    """Whether ``env`` is only the name of an environment that was given as an object: it must be given again."""
    preset: str | None = None
    """The preset that was taken; its values stand in the fields below."""
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """By name: a float, or a ``Schedule`` of floats."""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    env_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of ``jaxrl.envs.make``."""
    reward_shift: float = 0.0
    """What is added to the reward before all else that is done to it; reports keep the raw one."""
    reward_scale: float = 1.0
    """What the (shifted) reward is multiplied with before it is learned from."""
    reward_clip: float | None = None
    """Bound of the absolute (scaled) reward that is learned from."""
    reward_log: bool = False
    """Whether the logarithm of all that is learned from; shift and scale must have made it positive."""
    num_intervals: int = 100
    """Reports of the run: rows of ``metrics.csv`` for each seed."""
    num_evaluations: int = 10
    """Evaluations of the run, the last one at its end."""
    num_checkpoints: int = 10
    """Checkpoints of the run, the last one at its end."""
    eval_episodes: int = 32
    """Episodes of an evaluation, for each seed."""
    stop_at_return: float | None = None
    """Mean return of the training episodes of a report, over the seeds, at which the run ends."""

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.num_seeds)


class Built(NamedTuple):
    """What settings stand for."""

    agent: Algorithm
    env: Any
    """An ``Environment`` or a ``HostEnvironment``."""
    hp: Any


LARGE = 4 * 2**20
"""Multiplications in one product, from which on several threads do it faster than one."""
_IMAGE = 10**7
"""Multiplications for an image of Atari, in a network of convolutions."""
_MINATAR = 400
"""The fewest numbers of a MinAtar image, which dense layers take as a vector."""


def has_large_products(settings: RunSettings) -> bool:
    """Whether a gradient step has matrix products that are worth several threads."""
    c = settings.config
    batch = c.get("batch_size") or c["num_envs"] * c["rollout_length"] // c.get("num_minibatches", 1)
    if settings.env.startswith(("atari:", "ALE/")):
        return batch * _IMAGE > LARGE
    layers = [c.get(name) or () for name in ("hidden_sizes", "head_sizes", "critic_sizes")]
    if settings.env.endswith("-MinAtar") and c.get("torso") == "mlp":
        layers.append((_MINATAR, *c["hidden_sizes"]))
    widest = max((a * b for sizes in layers for a, b in itertools.pairwise(sizes)), default=0)
    return batch * widest > LARGE


def make_settings(
    algorithm: str,
    env: str,
    total_steps: int | None = None,
    *,
    preset: str | None = None,
    hp: Any = None,
    config: Any = None,
    env_parameters: Mapping[str, Any] | None = None,
    reward_shift: float | None = None,
    reward_scale: float | None = None,
    reward_clip: float | None = None,
    reward_log: bool | None = None,
    **rest: Any,
) -> RunSettings:
    """Settings from what a user gives: defaults of the algorithm, replaced by the preset's, then by the given.

    Args:
        algorithm: a name of ``jaxrl.algorithms``.
        env: an id for ``jaxrl.envs.make``.
        total_steps: environment steps; by default the preset's.
        preset: a preset's name; ``"none"`` for none; by default the one tuned for this algorithm and environment.
        hp: hyper-parameters by name (values or their text), or the algorithm's ``Hyperparameters``.
        config: configuration by name (values or their text), or the algorithm's ``Config``.
        env_parameters: keyword arguments of ``jaxrl.envs.make``; they replace single ones of the preset.
        reward_shift, reward_scale, reward_log: see ``RunSettings``; by default the preset's.
        reward_clip: likewise; infinity for none where the preset has one.
        **rest: further fields of ``RunSettings``; None for the default.

    Raises:
        UserError: for an unknown name or a value that cannot be; it names the field, the value and the fix.
    """
    module = algorithm_module(algorithm)
    chosen = _chosen(algorithm, env, preset)
    if total_steps is None:
        total_steps = chosen.total_steps if chosen else None
        if total_steps is None:
            raise UserError(f"total_steps is missing: no preset says how long to train {algorithm} on {env!r}")
    given = {"reward_shift": reward_shift, "reward_scale": reward_scale}
    reward = {**given, "reward_clip": reward_clip, "reward_log": reward_log}
    reward = {k: getattr(chosen, k, None) if v is None else v for k, v in reward.items()}
    return checked(
        RunSettings(
            algorithm=algorithm,
            env=env,
            total_steps=total_steps,
            preset=chosen.name if chosen else None,
            hyperparameters=hyperparameters(module, chosen.hyperparameters if chosen else {}, hp),
            config=configuration(module, chosen.config if chosen else {}, config),
            env_parameters=_env_parameters(chosen, env_parameters),
            **{k: v for k, v in {**reward, **rest}.items() if v is not None},
        )
    )


def checked(settings: RunSettings) -> RunSettings:
    """The settings, if their numbers can be.

    Raises:
        UserError: otherwise.
    """
    for name in ("total_steps", "num_seeds", "num_intervals", "num_evaluations", "num_checkpoints", "eval_episodes"):
        _require_integer(name, getattr(settings, name), 1)
    _require_integer("seed", settings.seed, 0)
    if settings.total_steps > LARGEST:
        raise UserError(f"total_steps={shown(settings.total_steps)}: must be below 2^63")
    if settings.seed + settings.num_seeds > 2**32:
        raise UserError(f"seed={settings.seed}: seeds must be below 2^32")
    scale = config_value("reward_scale", settings.reward_scale, float)
    if scale == 0:
        raise UserError("reward_scale=0: must not be 0, or there is nothing to learn from")
    reward = {
        "reward_shift": config_value("reward_shift", settings.reward_shift, float),
        "reward_scale": scale,
        "reward_clip": _reward_clip(settings.reward_clip),
        "reward_log": config_value("reward_log", settings.reward_log, bool),
    }
    goal = settings.stop_at_return
    reward["stop_at_return"] = None if goal is None else config_value("stop_at_return", goal, float)
    with as_user_error():
        algorithm_module(settings.algorithm).Config(**settings.config)
    if settings.config.get("axis_name") is not None:
        axis = settings.config["axis_name"]
        raise UserError(f"axis_name={axis!r}: is for programs that spread one agent over devices; a run does not")
    return dataclasses.replace(settings, **reward)


def build(settings: RunSettings, env: Any = None) -> Built:
    """Make the algorithm, the environment and the hyper-parameters of a run.

    Args:
        settings: of the run.
        env: the environment itself, instead of what ``jaxrl.envs.make`` makes of ``settings.env``.

    Raises:
        UserError: if there is no such environment, its package is not installed, or the algorithm cannot use it.
    """
    if settings.env_object and env is None:
        raise UserError(
            f"env={settings.env!r}: the run was made from Python, with an environment and not with an id; "
            "give it again (env=)"
        )
    module = algorithm_module(settings.algorithm)
    env = make_env(settings.env if env is None else env, settings.env_parameters)
    with as_user_error():
        agent = module.make(env.spec, module.Config(**settings.config))
    return Built(agent, env, module.Hyperparameters(**settings.hyperparameters))


def make_env(env: Any, parameters: Mapping[str, Any] | None = None) -> Any:
    """What ``jaxrl.envs.make`` makes of an id; an environment is returned as it is.

    Raises:
        UserError: if there is no such environment, or its package is not installed.
    """
    from jaxrl import envs
    from jaxrl.envs.errors import EnvironmentFailed

    if not isinstance(env, str):
        return env
    parameters = {k: literal(v) for k, v in (parameters or {}).items()}
    try:
        with as_user_error():
            try:
                return envs.make(env, **parameters)
            except (TypeError, ValueError) as error:
                raise (env_parameters.unknown(env, parameters) or error) from error
    except (UserError, EnvironmentFailed):
        raise
    except Exception as error:  # in a module or a constructor of the user's own
        raise UserError(f"env={env!r}: {type(error).__name__} while it was made: {one_line(error)}") from error


def _name_of(env: Any, parameters: Mapping[str, Any] | None) -> str:
    """The name of an environment that is not an id."""
    from jaxrl.envs import Environment, HostEnvironment

    if not isinstance(env, Environment | HostEnvironment):
        raise UserError(
            f"env={shown(env)}: must be an id or an environment of jaxrl.envs; from_gymnasium, from_vector, "
            "from_gymnax, from_brax and from_tensors adapt others"
        )
    if parameters:
        raise UserError(f"env_parameters={dict(parameters)}: are for an id; {env.name} is made already")
    return env.name


def named_env(
    env: Any,
    parameters: Mapping[str, Any] | None = None,
    algorithm: str | None = None,
    preset: str | None = None,
) -> tuple[str, Any]:
    """The name of an environment and the environment itself, of an id or of an environment.

    Args:
        env: either.
        parameters: keyword arguments of ``jaxrl.envs.make``.
        algorithm: whose preset has further ones, if it is given.
        preset: see ``make_settings``.

    Raises:
        UserError: as ``make_env``, or for an unknown preset.
    """
    if not isinstance(env, str):
        return _name_of(env, parameters), env
    chosen = None if algorithm is None else _chosen(algorithm, env, preset)
    try:
        return env, make_env(env, _env_parameters(chosen, parameters))
    except UserError as error:
        if chosen is None or not chosen.env_parameters:
            raise
        raise UserError(f"{error} (the preset {chosen.name} is for {chosen.env})") from error


def reward_transform(settings: RunSettings) -> Any:
    """What ``make_runner`` is to do to the reward, or None.

    ``clip((reward + reward_shift) * reward_scale, -c, c)``, and with ``reward_log`` the logarithm of it.

    Source: rl_games, ``reward_shaper``, for the order.
    """
    shift, scale = settings.reward_shift, settings.reward_scale
    clip, log = settings.reward_clip, settings.reward_log
    if (shift, scale, clip, log) == (0.0, 1.0, None, False):
        return None

    def transform(reward: Any) -> Any:
        # A host's rewards stay on the host.
        library = np if isinstance(reward, np.ndarray) else jnp
        reward = (reward + shift if shift else reward) * scale
        reward = reward if clip is None else library.clip(reward, -clip, clip)
        return library.log(reward) if log else reward

    return transform


def to_dict(settings: RunSettings) -> dict[str, Any]:
    """The settings as YAML and JSON know them."""
    record = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        record[field.name] = {k: plain(v) for k, v in value.items()} if isinstance(value, Mapping) else plain(value)
    return record


def save(settings: RunSettings, directory: Path) -> None:
    """Write ``config.yaml``, as a whole or not at all."""
    path = directory / FILE
    with writing(path):
        partial = path.with_name(f".{FILE}.new")
        partial.write_text(to_yaml(to_dict(settings)))
        os.replace(partial, path)


def to_yaml(record: dict[str, Any]) -> str:
    """A mapping as YAML in its own order, with each list on one line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    inline = lambda dumper, values: dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)
    Dumper.add_representer(list, inline)
    return yaml.dump(record, Dumper=Dumper, sort_keys=False, width=120)


def load(directory: Path | str) -> RunSettings:
    """Read ``config.yaml`` of a run's folder.

    Raises:
        UserError: if it is not there, or cannot be understood.
    """
    path = Path(directory) / FILE
    try:
        record = read_yaml(path)
    except OSError as error:
        raise UserError(f"{directory} is not the folder of a run: cannot read its {FILE} ({error.strerror})") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} does not hold the settings of a run")
    names = [f.name for f in dataclasses.fields(RunSettings)]
    for name in record:
        if name not in names:
            raise UserError(f"{path}: unknown field {name!r}{did_you_mean(str(name), names)}")
    for name, (kind, what) in _KINDS.items():
        value = record.get(name)
        if not isinstance(kind() if value is None else value, kind):
            raise UserError(f"{path}: the field {name} must be {what}, not {shown(value)}")
        if kind is dict and not all(isinstance(key, str) for key in value or ()):
            raise UserError(f"{path}: the field {name} must map names to values, not {shown(value)}")
    for name in ("algorithm", "env", "total_steps"):
        if record.get(name) is None:
            raise UserError(f"{path}: the field {name} is missing")
    try:
        module = algorithm_module(record["algorithm"])
        record["hyperparameters"] = hyperparameters(module, {}, record.get("hyperparameters") or {})
        record["config"] = configuration(module, {}, record.get("config") or {})
        record["env_parameters"] = record.get("env_parameters") or {}
        return checked(RunSettings(**record))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


_KINDS = {
    "algorithm": (str, "a name"),
    "env": (str, "a name"),
    "preset": (str, "a name"),
    "env_object": (bool, "true or false"),
    "env_parameters": (dict, "a mapping"),
    "hyperparameters": (dict, "a mapping"),
    "config": (dict, "a mapping"),
}


def require_same(settings: RunSettings, given: Mapping[str, Any]) -> None:
    """Raise unless what a user gave while resuming agrees with the settings of the run.

    Args:
        settings: of the run.
        given: some fields of ``make_settings``; None where nothing was given.

    Raises:
        UserError: it names the first field that differs, and both values.
    """
    given = {name: value for name, value in given.items() if value is not None}
    hp, config = given_fields(algorithm_module(settings.algorithm), given.pop("hp", None), given.pop("config", None))
    pairs = [(f"hp.{k}", settings.hyperparameters.get(k), v) for k, v in hp.items()]
    pairs += [(f"config.{k}", settings.config.get(k), v) for k, v in config.items()]
    for name, value in given.pop("env_parameters", {}).items():
        pairs.append((f"env.{name}", settings.env_parameters.get(name), literal(value)))
    if "preset" in given:
        name = given.pop("preset")
        chosen = None if name == presets.NONE else presets.get(name, settings.algorithm).name
        pairs.append(("preset", settings.preset, chosen))
    if "reward_clip" in given:
        given["reward_clip"] = _reward_clip(given["reward_clip"])
    if "reward_log" in given:
        given["reward_log"] = config_value("reward_log", given["reward_log"], bool)
    names = [f.name for f in dataclasses.fields(RunSettings)]
    for name in given:
        if name not in names:
            raise unknown_name("argument", name, names)
    # Another algorithm would also have other hyper-parameters: it is the first thing to say.
    pairs = [(name, getattr(settings, name), value) for name, value in given.items()] + pairs
    for name, old, new in pairs:
        if old != new:
            raise UserError(
                f"{name}={plain(new)}: the run to resume has {name}={plain(old)}; a run goes on as it was, "
                "so leave the option out, or start a new run"
            )


def _chosen(algorithm: str, env: str, preset: str | None) -> presets.Preset | None:
    """The preset that is asked for, or the one that is taken by itself."""
    if preset is None:
        return presets.tuned_for(algorithm, env)
    if not isinstance(preset, str):
        raise UserError(f"preset={shown(preset)}: must be the name of a preset, or 'none'")
    return None if preset == presets.NONE else presets.get(preset, algorithm)


def _env_parameters(preset: presets.Preset | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {} if given is None else given
    if not (isinstance(given, Mapping) and all(isinstance(name, str) for name in given)):
        raise UserError(f"env_parameters={shown(given)}: must map names to values")
    return {**(preset.env_parameters if preset else {}), **{k: literal(v) for k, v in given.items()}}


def _reward_clip(value: Any) -> float | None:
    """None for none, which may also be asked for by infinity."""
    if value is None or value == math.inf:
        return None
    clip = config_value("reward_clip", value, float)
    if clip <= 0:
        raise UserError(f"reward_clip={clip:g}: must be > 0, or there is nothing to learn from; inf does not clip")
    return clip


def _require_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name}={shown(value)}: must be an integer >= {least}")
