"""What JAX needs of ``gymnasium.spaces``: features, samples and sizes as pure functions."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.threads import enough_threads

MOST_INTEGERS = 2**16
"""Integers of a ``Box`` of actions that uniform float32 actions make equally likely, to within 1 %."""

Array = jax.Array
PyTree = Any


def flat_size(space: spaces.Space) -> int:
    """The number of features that ``flatten`` makes of one element of the space."""
    match space:
        case spaces.Box() | spaces.MultiBinary():
            return math.prod(space.shape)
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
        case spaces.Dict() | spaces.Tuple():
            return sum(flat_size(s) for s in children(space).values())
    raise _unsupported(space)


def flatten(space: spaces.Space, x: PyTree) -> Array:
    """Elements of the space ``[..., *shape]`` as float features ``[..., flat_size]``.

    Discrete parts become one-hot, unsigned bytes are divided by 255 (if they still are bytes, and have not been
    normalized), and Dict and Tuple spaces are concatenated in their own order.
    """
    match space:
        case spaces.Box() | spaces.MultiBinary():
            batch = x.shape[: x.ndim - len(space.shape)]
            features = x.reshape(*batch, -1).astype(jnp.float32)
            return features * (1 / 255) if x.dtype == np.uint8 else features
        case spaces.Discrete():
            return jax.nn.one_hot(x - int(space.start), int(space.n))
        case spaces.MultiDiscrete():
            columns = (x - space.start).reshape(*x.shape[: x.ndim - len(space.shape)], -1)
            sizes = np.ravel(space.nvec)
            columns = [jax.nn.one_hot(columns[..., i], int(n)) for i, n in enumerate(sizes)]
            return jnp.concatenate(columns, axis=-1)
        case spaces.Dict() | spaces.Tuple():
            return jnp.concatenate([flatten(s, x[k]) for k, s in children(space).items()], axis=-1)
    raise _unsupported(space)


def canonical(space: spaces.Space) -> spaces.Space:
    """The space that policies act in, where an environment has this one; ``jaxrl.envs.unit_actions`` maps it back.

    A ``Box`` becomes one of float32, from -1 to 1 in dimensions with two bounds and with its own bounds in the others.
    ``Discrete`` and ``MultiDiscrete`` are counted from 0. Other spaces stay as they are.

    Raises:
        ValueError: for a ``Box`` of no numbers, or of more than ``MOST_INTEGERS`` integers in a dimension.
    """
    match space:
        case spaces.Box() if 0 in space.shape:
            raise ValueError(f"action_space={space}: has no numbers to choose; declare at least one dimension")
        case spaces.Dict():
            return spaces.Dict({name: canonical(s) for name, s in space.spaces.items()})
        case spaces.Tuple():
            return spaces.Tuple([canonical(s) for s in space.spaces])
        case spaces.Discrete() if space.start != 0:
            return spaces.Discrete(space.n)
        case spaces.MultiDiscrete() if np.any(space.start):
            return spaces.MultiDiscrete(space.nvec)
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            bounded = np.isfinite(space.low) & np.isfinite(space.high)
            low, high = (np.where(bounded, one, b) for one, b in ((-1.0, space.low), (1.0, space.high)))
            return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        case spaces.Box():
            low, high = (bound.astype(np.float64) for bound in (space.low, space.high))
            int32 = np.iinfo(np.int32)
            if (high - low >= MOST_INTEGERS).any() or (low < int32.min).any() or (high > int32.max).any():
                raise ValueError(
                    f"action_space={space}: has more than {MOST_INTEGERS:,} integers in a dimension, or some beyond 32 "
                    "bits: declare a Discrete or MultiDiscrete for few of them, a Box of floats for numbers to round"
                )
            return spaces.Box(-1.0, 1.0, space.shape, np.float32)
        case spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            return space
    raise _unsupported(space)


def sample(space: spaces.Space, key: Array, shape: tuple[int, ...] = ()) -> PyTree:
    """Random elements ``[*shape, ...]``: uniform where there are two bounds.

    In a dimension of a ``Box`` with one bound the distance from it is exponential; without bounds the number is normal.

    Source: Gymnasium, ``Box.sample``.
    """
    match space:
        case spaces.Box() if np.issubdtype(space.dtype, np.integer):
            int32 = np.iinfo(np.int32)
            low, high = (np.clip(b, int32.min, int32.max - 1).astype(np.int32) for b in (space.low, space.high))
            return jax.random.randint(key, (*shape, *space.shape), low, high + 1).astype(space.dtype)
        case spaces.Box():
            bounded = np.isfinite(space.low) & np.isfinite(space.high)
            low = jnp.asarray(np.where(bounded, space.low, 0.0), jnp.float32)
            high = jnp.asarray(np.where(bounded, space.high, 1.0), jnp.float32)
            uniform_key, normal_key = jax.random.split(key)
            uniform = jax.random.uniform(uniform_key, (*shape, *space.shape), minval=low, maxval=high)
            if not bounded.all():
                above, below = np.isfinite(space.low) & ~bounded, np.isfinite(space.high) & ~bounded
                free = jax.random.normal(normal_key, uniform.shape)
                distance = jax.random.exponential(jax.random.fold_in(normal_key, 1), uniform.shape)
                free = jnp.where(above, space.low + distance, jnp.where(below, space.high - distance, free))
                uniform = jnp.where(bounded, uniform, free)
            return uniform.astype(jax.dtypes.canonicalize_dtype(space.dtype))
        case spaces.Discrete():
            return jax.random.randint(key, shape, int(space.start), int(space.start + space.n))
        case spaces.MultiDiscrete():
            start = jnp.asarray(space.start, jnp.int32)
            return jax.random.randint(key, (*shape, *space.shape), start, start + jnp.asarray(space.nvec, jnp.int32))
        case spaces.MultiBinary():
            return jax.random.bernoulli(key, shape=(*shape, *space.shape)).astype(jnp.int8)
        case spaces.Dict():
            keys = jax.random.split(key, len(space.spaces))
            return {k: sample(s, sub, shape) for (k, s), sub in zip(space.spaces.items(), keys, strict=True)}
        case spaces.Tuple():
            keys = jax.random.split(key, len(space.spaces))
            return tuple(sample(s, sub, shape) for s, sub in zip(space.spaces, keys, strict=True))
    raise _unsupported(space)


def contains(space: spaces.Space, x: PyTree, tolerance: float = 1e-4) -> Any:
    """Whether all of some elements ``[..., *shape]`` lie within the bounds, for NumPy and JAX arrays alike.

    Relative to its bound, but at least to 1, a float may be off by ``tolerance``.
    """
    match space:
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            slack = lambda bound: tolerance * np.maximum(1, np.where(np.isfinite(bound), np.abs(bound), 1))
            return ((x >= space.low - slack(space.low)) & (x <= space.high + slack(space.high))).all()
        case spaces.Box():
            return ((x >= space.low) & (x <= space.high)).all()
        case spaces.Discrete() | spaces.MultiDiscrete():
            size = space.n if isinstance(space, spaces.Discrete) else space.nvec
            return ((x >= space.start) & (x < space.start + size)).all()
        case spaces.MultiBinary():
            return ((x == 0) | (x == 1)).all()
        case spaces.Dict() | spaces.Tuple():
            return functools.reduce(operator.and_, (contains(s, x[k], tolerance) for k, s in children(space).items()))
    raise _unsupported(space)


def shapes(space: spaces.Space, shape: tuple[int, ...] = ()) -> PyTree:
    """The shapes ``[*shape, ...]`` and JAX dtypes of elements of the space, as a pytree of ``jax.ShapeDtypeStruct``."""
    match space:
        case spaces.Dict():
            return {k: shapes(s, shape) for k, s in space.spaces.items()}
        case spaces.Tuple():
            return tuple(shapes(s, shape) for s in space.spaces)
        case spaces.Box() | spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            return jax.ShapeDtypeStruct((*shape, *space.shape), jax.dtypes.canonicalize_dtype(space.dtype))
    raise _unsupported(space)


def zeros(space: spaces.Space, shape: tuple[int, ...] = ()) -> PyTree:
    """A pytree of zeros ``[*shape, ...]`` with the space's structure and JAX dtypes."""
    with enough_threads():  # often the first use of JAX
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes(space, shape))


def children(space: spaces.Dict | spaces.Tuple) -> dict[Any, spaces.Space]:
    """The spaces that a space is a product of, in its own order, by key or by place."""
    return dict(space.spaces) if isinstance(space, spaces.Dict) else dict(enumerate(space.spaces))


def _unsupported(space: spaces.Space) -> TypeError:
    return TypeError(
        f"jaxrl does not support the space {space}; use Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple"
    )
