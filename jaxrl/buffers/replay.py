"""Uniform replay: a ring of transitions on the device, written in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.buffers.packing import Packing
from jaxrl.types import Array, Key, PyTree, Sample
from jaxrl.validation import require


@dataclasses.dataclass(frozen=True, eq=False)
class Buffer:
    """A replay buffer: a frozen record of pure functions.

    Attributes:
        init: ``init() -> state``: zeros, ``nbytes`` of them.
        add: ``add(state, transitions, valid=None) -> state``: one transition ``[B, ...]`` of each of the
            ``B`` environments; where the mask ``valid`` ``[B]`` is false nothing is stored. One buffer is
            always given a mask or never.
        sample: ``sample(state, key, batch_size, hp) -> Sample``.
        set_priorities: ``set_priorities(state, indices, priorities, hp) -> state``; does nothing for
            uniform replay.
        size: ``size(state)``: the number of transitions held.
        capacity: the number that it can hold.
        nbytes: the memory that it will take.
    """

    init: Callable[[], Any]
    add: Callable[..., Any]
    sample: Callable[[Any, Key, int, Any], Sample]
    set_priorities: Callable[[Any, Array, Array, Any], Any]
    size: Callable[[Any], Array]
    capacity: int
    nbytes: int


class ReplayState(NamedTuple):
    """Rows are time-major: row ``t * num_envs + b`` is step ``t`` of environment ``b``."""

    rows: Array
    apart: list[Array]
    position: Array
    """``[num_envs]`` next step to write in each environment's ring."""
    filled: Array
    """``[num_envs]`` steps held of each environment."""


def uniform_replay(example: PyTree, capacity: int, num_envs: int = 1) -> Buffer:
    """A ring of the last ``capacity`` transitions, sampled uniformly with replacement.

    Adding and sampling cost the same at any capacity: each is a slice or a gather in place. Each
    environment has a ring of its own, ``capacity / num_envs`` long.

    Args:
        example: one transition, without a batch axis: arrays or shapes. Dtypes are kept.
        capacity: transitions to hold; rounded up to a multiple of ``num_envs``.
        num_envs: transitions added at a time.

    Raises:
        ValueError: if capacity or num_envs is out of range.
    """
    require(num_envs > 0, "num_envs", num_envs, "must be positive")
    require(0 < capacity < 2**31, "capacity", capacity, "must be positive and below 2^31")
    steps = -(-capacity // num_envs)
    packing = Packing(example)

    def init() -> ReplayState:
        return ReplayState(
            jnp.zeros((steps * num_envs, packing.row_words), jnp.uint32),
            [jnp.zeros((steps * num_envs, *s.shape), s.dtype) for s in packing.apart_shapes()],
            jnp.zeros((num_envs,), jnp.int32),
            jnp.zeros((num_envs,), jnp.int32),
        )

    def add(state: ReplayState, transitions: PyTree, valid: Array | None = None) -> ReplayState:
        rows, apart = packing.pack(transitions)
        if valid is None:
            # All rings stand at the same step: one contiguous slice.
            start = state.position[0] * num_envs
            write = lambda array, new: jax.lax.dynamic_update_slice_in_dim(array, new, start, axis=0)
            advance = 1
        else:
            # What is not valid is sent beyond the end, and dropped there.
            places = jnp.where(valid, state.position, steps) * num_envs + jnp.arange(num_envs)
            write = lambda array, new: array.at[places].set(new, mode="drop", unique_indices=True)
            advance = valid.astype(jnp.int32)
        return ReplayState(
            write(state.rows, rows),
            [write(old, new) for old, new in zip(state.apart, apart, strict=True)],
            (state.position + advance) % steps,
            jnp.minimum(state.filled + advance, steps),
        )

    def sample(state: ReplayState, key: Key, batch_size: int, hp: Any = None) -> Sample:
        del hp
        # Number the items held, one environment's after another's. A ring of n steps has them at 0 .. n - 1.
        end = jnp.cumsum(state.filled)
        indices = _uniform_below(key, batch_size, end[-1])
        if num_envs > 1:
            env = jnp.searchsorted(end, indices, side="right", method="compare_all")
            indices = (indices - (end - state.filled)[env]) * num_envs + env
        take = lambda array: jnp.take(array, indices, axis=0, mode="clip")
        transitions = packing.unpack(take(state.rows), [take(array) for array in state.apart])
        return Sample(transitions, indices, jnp.ones((batch_size,)))

    return Buffer(
        init=init,
        add=add,
        sample=sample,
        set_priorities=lambda state, indices, priorities, hp=None: state,
        size=lambda state: jnp.sum(state.filled),
        capacity=steps * num_envs,
        nbytes=steps * num_envs * packing.item_bytes,
    )


def _uniform_below(key: Key, batch_size: int, bound: Array) -> Array:
    """``[B]`` integers in ``[0, bound)``: 32 random bits scaled by their high product, so that the bits
    depend on the key alone (and can be drawn ahead of the loop) while the bound grows."""
    bits = jax.random.bits(key, (batch_size,), jnp.uint32)
    return _multiply_high(bits, jnp.maximum(bound, 1).astype(jnp.uint32)).astype(jnp.int32)


def _multiply_high(a: Array, b: Array) -> Array:
    """The upper 32 bits of the 64-bit product of two uint32."""
    a_low, a_high = a & 0xFFFF, a >> 16
    b_low, b_high = b & 0xFFFF, b >> 16
    middle = a_high * b_low + ((a_low * b_low) >> 16)
    middle_low = (middle & 0xFFFF) + a_low * b_high
    return a_high * b_high + (middle >> 16) + (middle_low >> 16)
