"""The hyper-parameters and the configuration of an algorithm by name: their defaults, types and given values."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from jaxrl import algorithms
from jaxrl.experiment import flags
from jaxrl.experiment.errors import UserError, as_user_error
from jaxrl.experiment.values import config_value, hyperparameter, shown, unknown_name
from jaxrl.types import Algorithm


def algorithm_module(name: str) -> ModuleType:
    """The module of an algorithm, or a ``UserError``."""
    if not isinstance(name, str):
        raise UserError(f"algorithm={_kind_of(name)}: must be the name of an algorithm, such as 'ppo'{_hint(name)}")
    with as_user_error():
        return algorithms.get(name)


def config_types(module: ModuleType) -> dict[str, Any]:
    """The types of an algorithm's configuration, by field."""
    hints = typing.get_type_hints(module.Config)
    return {f.name: hints[f.name] for f in dataclasses.fields(module.Config)}


def hyperparameter_defaults(module: ModuleType) -> dict[str, Any]:
    """The defaults of an algorithm's hyper-parameters, by field."""
    return _fields(module.Hyperparameters())


def hyperparameters(module: ModuleType, base: Mapping[str, Any], given: Any) -> dict[str, Any]:
    values = {**hyperparameter_defaults(module), **base, **_as_mapping(given, "hp", module.Hyperparameters)}
    return given_fields(module, values, {})[0]


def configuration(module: ModuleType, base: Mapping[str, Any], given: Any) -> dict[str, Any]:
    values = {**_fields(module.Config()), **base, **_as_mapping(given, "config", module.Config)}
    return given_fields(module, {}, values)[1]


def given_fields(module: ModuleType, hp: Any, config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checked values of the given fields alone."""
    algorithm = module.__name__.rpartition(".")[2]
    hp, config = _as_mapping(hp, "hp", module.Hyperparameters), _as_mapping(config, "config", module.Config)
    defaults, types = hyperparameter_defaults(module), config_types(module)
    for name in hp:
        if name not in defaults:
            hint = f" (it is a field of the configuration: --config.{name})" if name in types else ""
            hint = hint or flags.field_hint(str(name), "hp", defaults, types)
            raise unknown_name(f"hyper-parameter of {algorithm}", name, defaults, hint)
    for name in config:
        if name not in types:
            hint = f" (it is a hyper-parameter: --hp.{name})" if name in defaults else ""
            hint = hint or flags.field_hint(str(name), "config", defaults, types)
            raise unknown_name(f"configuration field of {algorithm}", name, types, hint)
    return (
        {name: hyperparameter(name, value, optional=defaults[name] is None) for name, value in hp.items()},
        {name: config_value(name, value, types[name]) for name, value in config.items()},
    )


def _kind_of(thing: Any) -> str:
    return f"an Algorithm ({thing.name})" if isinstance(thing, Algorithm) else shown(thing)


def _hint(thing: Any) -> str:
    """The way to what was probably meant by something that is no name."""
    if isinstance(thing, Algorithm):
        return (
            "; a run makes it by itself from config= and hp=, and jaxrl.training.make_runner and make_train take an "
            "Algorithm as it is"
        )
    name = getattr(thing, "__name__", "").rpartition(".")[2]
    return f"; give {name!r}" if name in algorithms.ALGORITHMS else ""


def _as_mapping(value: Any, name: str, record: type) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, record):
        return _fields(value)
    if not isinstance(value, Mapping):
        raise UserError(f"{name}={shown(value)}: must map names to values, or be the algorithm's {record.__name__}")
    return value


def _fields(record: Any) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
