"""Where a replay buffer keeps its transitions; which of them are sampled is decided elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.buffers.packing import Packing
from jaxrl.buffers.ring import Ring, advance_ring, empty_ring, newest_places, places_to_write, write_at
from jaxrl.types import Array, PyTree, Transition


class Added(NamedTuple):
    """What became of the places of a buffer when a step was added."""

    state: Any
    written: Array
    """``[num_envs]`` places, beyond the end where nothing was written."""
    evicted: Array | None
    """``[n]`` places that are no longer held, beyond the end for none; None if only those written over are lost."""


@dataclasses.dataclass(frozen=True, eq=False)
class Storage:
    """A frozen record of pure functions on a state with a field ``ring``.

    Attributes:
        init: ``init() -> state``.
        add: ``add(state, transitions, valid) -> Added``.
        read: ``read(state, first, last) -> transitions [B, ...]``: those at the places ``first`` ``[B]``, but with
            the ``next_observation`` of those at ``last`` ``[B]``, if that is not None.
        ends: ``ends(state, places [B, n]) -> reward, terminated, truncated``, each ``[B, n]``.
        interrupt: ``interrupt(state) -> state``: the newest transition of each environment counts as truncated.
        steps: length of each environment's ring.
        num_envs: rings.
        nbytes: memory of the state.
        may_evict: whether the oldest may be given up before a ring is full.
    """

    init: Callable[[], Any]
    add: Callable[[Any, PyTree, Array | None], Added]
    read: Callable[[Any, Array, Array | None], PyTree]
    ends: Callable[[Any, Array], tuple[Array, Array, Array]]
    interrupt: Callable[[Any], Any]
    steps: int
    num_envs: int
    nbytes: int
    may_evict: bool = False


class RowsState(NamedTuple):
    """Packed transitions, and the fields that are too large to be packed."""

    rows: Array
    apart: list[Array]
    ring: Ring


def rows_storage(example: PyTree, steps: int, num_envs: int) -> Storage:
    """Whole transitions, each packed into one row of 32-bit words.

    Args:
        example: one item, without a batch axis: arrays or shapes. Dtypes are kept.
        steps: length of each environment's ring.
        num_envs: rings.
    """
    packing = Packing(example)
    places = steps * num_envs

    def init() -> RowsState:
        return RowsState(
            jnp.zeros((places, packing.row_words), jnp.uint32),
            [jnp.zeros((places, *s.shape), s.dtype) for s in packing.apart_shapes()],
            empty_ring(num_envs),
        )

    def add(state: RowsState, transitions: PyTree, valid: Array | None) -> Added:
        rows, apart = packing.pack(transitions)
        written = places_to_write(state.ring, steps, valid)
        if valid is None:
            # All rings stand at the same step: one contiguous slice.
            write = lambda array, new: jax.lax.dynamic_update_slice_in_dim(array, new, written[0], axis=0)
        else:
            # What is not valid is sent beyond the end, and dropped there.
            write = lambda array, new: write_at(array, written, new)
        apart = [write(old, new) for old, new in zip(state.apart, apart, strict=True)]
        return Added(RowsState(write(state.rows, rows), apart, advance_ring(state.ring, steps, valid)), written, None)

    def take(state: RowsState, indices: Array) -> PyTree:
        rows = lambda array: jnp.take(array, indices, axis=0, mode="clip")
        return packing.unpack(rows(state.rows), [rows(array) for array in state.apart])

    def read(state: RowsState, first: Array, last: Array | None) -> PyTree:
        transitions = take(state, first)
        if last is None:
            return transitions
        return transitions._replace(next_observation=take(state, last).next_observation)

    def ends(state: RowsState, indices: Array) -> tuple[Array, Array, Array]:
        t = take(state, indices.reshape(-1))
        return tuple(x.reshape(indices.shape) for x in (t.reward, t.terminated, t.truncated))

    def interrupt(state: RowsState) -> RowsState:
        if not isinstance(example, Transition):
            return state
        newest = newest_places(state.ring, steps)
        transitions = take(state, newest)
        rows, _ = packing.pack(transitions._replace(truncated=jnp.ones_like(transitions.truncated)))
        return state._replace(rows=write_at(state.rows, newest, rows))

    return Storage(init, add, read, ends, interrupt, steps, num_envs, nbytes=places * packing.item_bytes + 8 * num_envs)
