"""Actions on their way out: canonical ones, which policies draw, as elements of the space an environment declares.

A policy acts in ``[-1, 1]`` for a ``Box`` with bounds and counts the choices of a ``Discrete`` from 0
(``jaxrl.spaces.canonical``). The maps here end in the environment's own dtype and within its own bounds, judged by
``action_space.contains``. Values that come in pass ``jaxrl.envs.gate``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.types import PyTree
from jaxrl.validation import require


def unit_actions(space: spaces.Space) -> tuple[spaces.Space, Callable[[Any], Any]]:
    """The space of canonical actions, and the map from it to ``space``, for NumPy and JAX arrays alike.

    - A ``Box`` of floats: ``a -> clip((low + high) / 2 + a (high - low) / 2, low, high)`` in dimensions with two
      bounds, ``a -> clip(a, low, high)`` in those with one or none.
    - A ``Box`` of integers: ``a -> clip(floor(low + (a + 1) / 2 (high - low + 1)), low, high)``, so that a uniform
      action makes each integer as likely as another.
    - ``Discrete`` and ``MultiDiscrete``: ``a -> a + start``.
    - ``Dict`` and ``Tuple``: part by part.

    Raises:
        ValueError: for a ``Box`` of integers with more than ``jaxrl.spaces.MOST_INTEGERS`` in a dimension, or a ``Box``
            of floats with no float32 between its bounds.
    """
    unit = jax_spaces.canonical(space)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        maps = {name: unit_actions(s)[1] for name, s in jax_spaces.children(space).items()}
        if isinstance(space, spaces.Dict):
            return unit, lambda action: {name: maps[name](action[name]) for name in maps}
        return unit, lambda action: tuple(maps[i](a) for i, a in enumerate(action))
    to_own = _in_dtype(space.dtype)
    match space:
        case spaces.Discrete() if space.start != 0:
            start = int(space.start)
            return unit, lambda action: to_own(action + start)
        case spaces.MultiDiscrete() if np.any(space.start):
            starts = np.asarray(space.start, np.int32)
            return unit, lambda action: to_own(action + starts)
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            return unit, _to_floats(space, to_own)
        case spaces.Box():
            return unit, _to_integers(space, to_own)
    return unit, to_own


def without_bounds(space: spaces.Space) -> spaces.Space:
    """The space with every ``Box`` of floats widened to all numbers, those in a ``Dict`` or ``Tuple`` too."""
    match space:
        case spaces.Dict():
            return spaces.Dict({name: without_bounds(s) for name, s in space.spaces.items()})
        case spaces.Tuple():
            return spaces.Tuple([without_bounds(s) for s in space.spaces])
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            return spaces.Box(-np.inf, np.inf, space.shape, space.dtype)
    return space


def batch_of_actions(space: spaces.Space) -> Callable[[PyTree], PyTree]:
    """A function from canonical actions ``[B, ...]`` to a batch ``[B, ...]`` of the environment's own, in NumPy."""
    _, to_bounds = unit_actions(space)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return lambda action: to_bounds(jax.tree.map(np.asarray, action))
    return lambda action: to_bounds(np.asarray(action))


def list_of_actions(space: spaces.Space) -> Callable[[PyTree], Sequence[Any]]:
    """A function from canonical actions ``[B, ...]`` to a sequence of B of the environment's own."""
    convert = batch_of_actions(space)
    match space:
        case spaces.Discrete():
            return lambda action: convert(action).tolist()
        case spaces.Dict() | spaces.Tuple():

            def split(action):
                action = convert(action)
                num_envs = len(jax.tree.leaves(action)[0])
                return [jax.tree.map(lambda x: x[i], action) for i in range(num_envs)]  # noqa: B023

            return split
    return convert


def _to_floats(space: spaces.Box, to_own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = _float32_inside(space)
    choose = lambda x, otherwise: np.where(bounded, x, otherwise).astype(np.float32)
    half_low, half_high = choose(low, 0.0) / 2, choose(high, 0.0) / 2
    center, half_range = half_high + half_low, choose(half_high - half_low, 1.0)

    def to_bounds(action):
        xp = np if type(action) is np.ndarray or not isinstance(action, jax.Array) else jnp
        return to_own(xp.clip(center + action * half_range, low, high))

    return to_bounds


def _float32_inside(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """The bounds in float32, rounded inwards: a float64 bound has neighbours that lie outside."""
    largest = np.finfo(np.float32).max
    narrow = lambda x: np.where(np.isinf(x), x, np.clip(x, -largest, largest)).astype(np.float32)
    low, high = narrow(space.low), narrow(space.high)
    low = np.where(low < space.low, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > space.high, np.nextafter(high, np.float32(-np.inf)), high)
    require(
        bool((low <= high).all()), "action_space", space,
        "there is no float32 between its bounds: declare wider ones, and rescale the actions in the environment",
    )  # fmt: skip
    return low, high


def _to_integers(space: spaces.Box, to_own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    low = space.low.astype(np.int32)
    last = (space.high.astype(np.int32) - low).astype(np.float32)
    half_count = (last + 1) / 2

    def to_bounds(action):
        xp = np if type(action) is np.ndarray or not isinstance(action, jax.Array) else jnp
        steps = xp.clip(xp.floor((action + 1) * half_count), 0, last)
        return to_own(low + steps.astype(np.int32))

    return to_bounds


def _in_dtype(dtype: Any) -> Callable[[Any], Any]:
    """The cast to an environment's own dtype; in JAX its 64 bits are 32."""
    in_jax = jax.dtypes.canonicalize_dtype(dtype)

    def cast(x):
        if type(x) is np.ndarray:  # which is much faster to tell than that it is JAX's
            return x.astype(dtype, copy=False)
        if isinstance(x, jax.Array):
            return x if x.dtype == in_jax else x.astype(in_jax)
        return np.asarray(x, dtype)

    return cast
