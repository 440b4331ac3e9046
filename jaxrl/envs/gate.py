"""The gate: each observation, reward and end of an environment that someone else wrote comes in here.

An environment declares spaces and returns what it likes. Casting or broadcasting it would turn ``[0.2, 0.5, 0.9]`` into
three zeros without a word, so everything is compared with the space first. ``Gate`` is for values on the host,
``checked`` for compiled environments, whose shapes and dtypes are known when they are traced. The rules are the same:

- Shapes must be the space's. A reward or an end may also be an array of one number.
- Any number may become a float. A float never becomes an integer or a boolean.
- An integer may become a narrower one if the value fits. Compiled environments must return a dtype that always fits.
- The first observations of integers must lie within the bounds of their space.

Actions leave through ``jaxrl.envs.actions``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.envs.environment import Environment
from jaxrl.envs.errors import EnvironmentFailed, InvalidValue
from jaxrl.types import PyTree, TimeStep

FIRST = 2
"""Batches of observations whose integers are compared with their bounds: of the first reset and the first step."""


class Gate:
    """Takes in what a batch of environments on the host returns.

    Each method returns arrays of its own, with the dtypes that JAX keeps. A list that it is ``given`` has an item for
    each environment; anything else is a batch already.

    Attributes:
        name: of the environment, for errors.
        num_envs: B.
        steps: calls of ``step`` so far, for errors. The caller counts them.
        observations: ``observations(given, call) -> [B, ...]``.
        rewards: ``rewards(given, call) -> [B, *reward_shape]`` float32.
        terminated, truncated: ``terminated(given, call) -> [B]`` booleans.
    """

    def __init__(self, name: str, num_envs: int, observation_space: spaces.Space, reward_shape: tuple[int, ...] = ()):
        self.name, self.num_envs, self.steps = name, num_envs, 0
        self.observations = self._intake(observation_space, "an observation")
        self.rewards = _Rewards(self, "a reward", reward_shape, np.float32)
        self.terminated = _Ends(self, "terminated", (), bool)
        self.truncated = _Ends(self, "truncated", (), bool)

    def call(self, call: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return the result of a method of the environment.

        Raises:
            EnvironmentFailed: if it raises.
        """
        try:
            return method(*arguments, **options)
        except EnvironmentFailed:
            raise
        except Exception as error:
            raise self.failed(call, error) from error

    def failed(self, call: str, error: Exception) -> EnvironmentFailed:
        """The error to raise when an environment raised one."""
        return EnvironmentFailed(self.name, call, error, self.steps)

    def invalid(self, call: str, sentence: str) -> InvalidValue:
        """The error to raise for something that an environment returned."""
        return InvalidValue(self.name, call, sentence, self.steps)

    def first(self, result: Any) -> Any:
        """The observation of what ``reset`` returned."""
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            return result[0]
        raise self.invalid(
            "reset",
            f"{_kind(result)}: it must return observation, info, where info is a dictionary (environments of the old "
            "Gym returned the observation alone: return observation, {} instead)",
        )

    def five(self, result: Any) -> tuple[Any, Any, Any, Any, Any]:
        """The five parts of what ``step`` returned."""
        if isinstance(result, tuple | list) and len(result) == 5:
            return result
        old = isinstance(result, tuple | list) and len(result) == 4
        hint = " (the old Gym had one done: return a failure as terminated, a time limit as truncated)" if old else ""
        raise self.invalid(
            "step", f"{_kind(result)}: it must return observation, reward, terminated, truncated, info{hint}"
        )

    def _intake(self, space: spaces.Space, what: str) -> Callable[[Any, str], PyTree]:
        if not isinstance(space, spaces.Dict | spaces.Tuple):
            return _Elements(self, what, space)
        parts = {key: self._intake(s, f"{what}[{key!r}]") for key, s in jax_spaces.children(space).items()}

        def part(given, key, call):
            try:
                return [x[key] for x in given] if isinstance(given, list) else given[key]
            except (KeyError, IndexError, TypeError):
                one = given[0] if isinstance(given, list) and given else given
                raise self.invalid(call, missing(space, key, one, what)) from None

        if isinstance(space, spaces.Dict):
            return lambda given, call: {key: take(part(given, key, call), call) for key, take in parts.items()}
        return lambda given, call: tuple(take(part(given, key, call), call) for key, take in parts.items())


class _Array:
    """Takes in one array for each environment.

    After the first ones it costs a copy and two comparisons: a batch with the shape and the dtype of the one before it
    needs nothing else, unless its values may not fit into the dtype that they are cast to.
    """

    looks = 0
    """Batches whose integers are still to be compared with the bounds of ``space``."""
    space: spaces.Space | None = None

    def __init__(self, gate: Gate, what: str, shape: tuple[int, ...], dtype: Any):
        self.gate, self.what, self.shape, self.dtype = gate, what, tuple(shape), np.dtype(dtype)
        self.known: tuple[int, ...] | None = None
        self.accepted = self.dtype

    def __call__(self, given: Any, call: str) -> np.ndarray:
        try:
            array = np.array(given)
        except (ValueError, TypeError, RuntimeError):  # such as arrays of several shapes
            array = None
        if array is not None and array.shape == self.known and array.dtype == self.accepted:
            return array if self.accepted == self.dtype else array.astype(self.dtype)
        return self._examined(given, array, call)

    def _examined(self, given: Any, array: np.ndarray | None, call: str) -> np.ndarray:
        if array is None or array.dtype == object:
            array = self._one_by_one(given, call)
        array = self._shaped(array, len(given) if isinstance(given, list) else self.gate.num_envs, call)
        if not castable(array.dtype, self.dtype):
            raise self._refused(f"dtype {array.dtype}, such as {_shown(array[0])}", f"takes {takes(self.dtype)}", call)
        narrow = narrows(array.dtype, self.dtype)
        if narrow:
            low, high = limits(self.dtype)
            self._within(array, low, high, f"holds numbers from {low} to {high}", call)
        if self.looks:
            self.looks -= 1
            self._within(array, *bounds(self.space), "has bounds that it leaves", call)
        fast = not narrow and not self.looks and len(array) == self.gate.num_envs
        self.known, self.accepted = (array.shape, array.dtype) if fast else (None, self.dtype)
        return array.astype(self.dtype, copy=False)

    def _shaped(self, array: np.ndarray, count: int, call: str) -> np.ndarray:
        if array.shape == (count, *self.shape):
            return array
        if array.ndim == 0 or len(array) != count:
            raise self._refused(f"shape {array.shape} for {count} environments", f"has the shape {self.shape}", call)
        raise self._refused(f"shape {array.shape[1:]}, {_shown(array[0])}", f"has the shape {self.shape}", call)

    def _one_by_one(self, given: Any, call: str) -> np.ndarray:
        """The batch of values that do not make one array by themselves; each is looked at alone."""
        if not isinstance(given, Sequence | np.ndarray) or len(given) == 0:
            raise self._refused(_kind(given), f"takes {takes(self.dtype)}", call)
        arrays = []
        for value in given:
            try:
                array = np.asarray(value)
            except (ValueError, TypeError, RuntimeError):
                array = np.asarray(None)
            if array.dtype == object:
                raise self._refused(_kind(value), f"takes {takes(self.dtype)}", call)
            arrays.append(self._shaped(array[None], 1, call)[0])
        return np.stack(arrays)

    def _within(self, array: np.ndarray, low: Any, high: Any, rule: str, call: str) -> None:
        outside = (array < low) | (array > high)
        if outside.any():
            raise self._refused(f"value {array[outside][0]}", rule, call)

    def _refused(self, came: str, rule: str, call: str) -> InvalidValue:
        return self.gate.invalid(call, f"{self.what} of {came}: it {rule}")


class _Elements(_Array):
    """Takes in elements of a space that is no product of others."""

    def __init__(self, gate: Gate, what: str, space: spaces.Space):
        super().__init__(gate, what, space.shape, jax.dtypes.canonicalize_dtype(space.dtype))
        self.space, self.looks = space, FIRST if np.dtype(space.dtype).kind in "iub" else 0

    def _refused(self, came: str, rule: str, call: str) -> InvalidValue:
        return self.gate.invalid(call, f"{self.what} of {came}: its space {short(self.space)} {rule}")


class _Rewards(_Array):
    """Takes in rewards: an array of one number is that number."""

    def _shaped(self, array: np.ndarray, count: int, call: str) -> np.ndarray:
        if self.shape == () and array.ndim > 1 and array.size == len(array):
            array = array.reshape(-1)
        return super()._shaped(array, count, call)


class _Ends(_Rewards):
    """Takes in ends: any number but 0 is one."""

    def _shaped(self, array: np.ndarray, count: int, call: str) -> np.ndarray:
        array = super()._shaped(array, count, call)
        return array != 0 if array.dtype.kind in "iuf" else array


def checked(env: Environment) -> Environment:
    """Compare what a compiled environment returns with its spaces, while it is traced: at no cost when it runs.

    Observations then have the dtypes of their space, rewards are float32 and ends are booleans.

    Raises:
        InvalidValue: when ``reset`` or ``step`` is traced.
        EnvironmentFailed: then, if the environment raises.
    """
    agents = () if env.num_agents == 1 else (env.num_agents,)

    def called(name, function, wanted, *arguments):
        try:
            result = function(*arguments)
        except EnvironmentFailed:
            raise
        except Exception as error:
            raise EnvironmentFailed(env.name, name, error) from error
        if not (isinstance(result, tuple) and len(result) == 2):
            raise InvalidValue(env.name, name, f"{_kind(result)}: it must return {wanted}")
        return result

    def observed(call, observation):
        return _traced(partial(InvalidValue, env.name, call), env.observation_space, agents, observation)

    def reset(key):
        state, observation = called("reset", env.reset, "state, observation", key)
        return state, observed("reset", observation)

    def step(state, action, key):
        state, timestep = called("step", env.step, "state, TimeStep", state, action, key)
        invalid = partial(InvalidValue, env.name, "step")
        if not isinstance(timestep, TimeStep):
            raise invalid(f"a state and {_kind(timestep)}: it must be a TimeStep, see jaxrl.envs.transition_step")
        return state, timestep._replace(
            observation=observed("step", timestep.observation),
            next_observation=observed("step", timestep.next_observation),
            reward=_traced_number(invalid, "a reward", timestep.reward, (*agents, *env.reward_shape), np.float32),
            terminated=_traced_number(invalid, "terminated", timestep.terminated, (), bool),
            truncated=_traced_number(invalid, "truncated", timestep.truncated, (), bool),
        )

    return dataclasses.replace(env, reset=reset, step=step)


def picture(name: str, image: Any) -> np.ndarray:
    """A picture of an environment as ``[H, W, 3]`` uint8.

    Raises:
        InvalidValue: if it is something else.
    """
    array = np.asarray(image)
    if array.shape[2:] != (3,) or array.dtype != np.uint8:
        came = f"{_kind(image)} of shape {array.shape} and dtype {array.dtype}"
        raise InvalidValue(name, "render", f"{came}: it must be a picture [H, W, 3] of uint8")
    return array


def castable(dtype: Any, target: Any) -> bool:
    """True if numbers of a dtype may become numbers of another one, as far as their values fit."""
    # The kind of bfloat16 is none of these.
    kind = "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind
    return kind in "biuf" if np.dtype(target).kind == "f" else kind in "biu"


def narrows(dtype: Any, target: Any) -> bool:
    """True if values of a dtype may not fit into another one, of integers or booleans."""
    return np.dtype(target).kind in "iub" and not np.can_cast(dtype, target, "safe")


def bounds(space: spaces.Space) -> tuple[Any, Any]:
    """The least and the greatest number in each place of an element."""
    match space:
        case spaces.Box():
            return space.low, space.high
        case spaces.Discrete() | spaces.MultiDiscrete():
            size = space.n if isinstance(space, spaces.Discrete) else space.nvec
            return space.start, space.start + size - 1
    return 0, 1


def limits(dtype: Any) -> tuple[int, int]:
    """The least and the greatest number of a dtype of integers or booleans."""
    dtype = np.dtype(dtype)
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def takes(dtype: Any) -> str:
    """Describe the values that may become a dtype."""
    dtype = np.dtype(dtype)
    return f"numbers, as {dtype}" if dtype.kind == "f" else f"integers and booleans, as {dtype}"


def missing(space: spaces.Space, key: Any, given: Any, what: str) -> str:
    """The sentence for an entry of a space that was not there."""
    return f"{what} without the entry {key!r}, {_kind(given)}: its space {short(space)} has it"


def short(space: spaces.Space) -> str:
    """A space on one line of moderate length."""
    text = " ".join(str(space).split())
    return text if len(text) <= 160 else f"{text[:160]}..."


def _traced(
    invalid: Callable[[str], InvalidValue],
    space: spaces.Space,
    batch: tuple[int, ...],
    x: Any,
    what: str = "an observation",
) -> PyTree:
    """Elements of a space of which only shapes and dtypes are known."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = {}
        for key, part in jax_spaces.children(space).items():
            try:
                value = x[key]
            except (KeyError, IndexError, TypeError):
                raise invalid(missing(space, key, x, what)) from None
            parts[key] = _traced(invalid, part, batch, value, f"{what}[{key!r}]")
        return parts if isinstance(space, spaces.Dict) else tuple(parts.values())
    array, shape, dtype = _array(invalid, what, x), (*batch, *space.shape), jax.dtypes.canonicalize_dtype(space.dtype)
    if array.shape != shape:
        raise invalid(f"{what} of shape {array.shape}: its space {short(space)} needs {shape}")
    if not castable(array.dtype, dtype) or narrows(array.dtype, dtype):
        raise invalid(f"{what} of dtype {array.dtype}: its space {short(space)} needs {dtype}")
    return array if array.dtype == dtype else array.astype(dtype)


def _traced_number(
    invalid: Callable[[str], InvalidValue], what: str, x: Any, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """A reward or an end; an array of one number is that number."""
    array = _array(invalid, what, x)
    if shape == () and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise invalid(f"{what} of shape {array.shape}: it must have the shape {shape}")
    if not castable(array.dtype, np.float32):
        raise invalid(f"{what} of dtype {array.dtype}: it must be {np.dtype(dtype)}")
    if array.dtype == dtype:
        return array
    return array != 0 if dtype is bool else array.astype(dtype)


def _array(invalid: Callable[[str], InvalidValue], what: str, x: Any) -> jax.Array:
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError):
        raise invalid(f"{what} that is {_kind(x)}: it must be an array") from None


def _shown(array: Any) -> str:
    text = " ".join(np.array2string(np.asarray(array), threshold=8, edgeitems=3).split())
    return text if len(text) <= 80 else f"{text[:80]}..."


def _kind(x: Any) -> str:
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)} values"
    if isinstance(x, dict):
        return f"a dictionary with {', '.join(map(repr, list(x)[:6])) or 'nothing'}"
    return "None" if x is None else f"a {type(x).__name__}"
