"""Transitions of stacked images, with each frame stored once.

An observation ``[H, W, C]`` whose last axis is a stack of the newest frames shares all but one of them with its
successor. Here a step writes only the newest frame of ``next_observation``, and the first step of an episode
also the whole stack that the episode began with, however the environment padded it. So an observation is
always so many consecutive frames of one episode, and it comes back bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.buffers.packing import Packing
from jaxrl.buffers.ring import Ring, advance_ring, empty_ring, newest_places, places_to_write, write_at
from jaxrl.buffers.storage import Added, Storage
from jaxrl.types import Array, PyTree, Transition
from jaxrl.validation import require

NO_PLACE = 2**30
"""Beyond the end of every buffer."""
LAPS = 2
"""Frames are numbered modulo so many times the length of their ring, to tell distances beyond one lap."""


class FramesState(NamedTuple):
    """Frame ``f`` of environment ``b`` lies in row ``(f mod length) * num_envs + b``."""

    frames: Array
    """``[length * num_envs, words]``, as 32-bit words."""
    rows: Array
    """The rest of each transition, packed, with the number of its observation's newest frame."""
    head: Array
    """``[num_envs]`` number of the next frame."""
    fresh: Array
    """``[num_envs]`` whether the next step is the first of its episode."""
    ring: Ring


class _Rest(NamedTuple):
    """A transition without its observations."""

    action: PyTree
    reward: Array
    terminated: Array
    truncated: Array
    frame: Array


def frames_storage(
    example: Transition, steps: int, num_envs: int, frame_stack: int, slack: float = 1 / 256
) -> Storage:
    """Each frame of stacked observations stored once.

    ``steps * (1 + slack)`` frames are held for each environment. Where episodes are so short that their first
    stacks need more, the oldest transitions are given up early.

    Args:
        example: one transition, without a batch axis; observations ``[H, W, C]``.
        steps: length of each environment's ring.
        num_envs: rings.
        frame_stack: frames of an observation, along its last axis, the newest last; 1 stores whole observations
            once instead of twice.
        slack: how many more frames than steps are held.

    Raises:
        ValueError: if the observation is not one array whose last axis is so many frames.
    """
    shapes = jax.tree.leaves(example.observation)
    shape = tuple(shapes[0].shape) if len(shapes) == 1 else None
    require(
        shape is not None and frame_stack > 0 and shape and shape[-1] % frame_stack == 0,
        "frame_stack", frame_stack, f"must divide the last axis of an observation that is one array, got {shape}",
    )  # fmt: skip
    channels = shape[-1] // frame_stack
    frame = Packing({"frame": jax.ShapeDtypeStruct((*shape[:-1], channels), shapes[0].dtype)}, largest=None)
    rest = Packing(_Rest(*example[1:5], np.zeros((), np.int32)), largest=None)
    window = frame_stack + 1
    length = int(steps * (1 + slack)) + 2 * window
    modulus = LAPS * length

    def init() -> FramesState:
        return FramesState(
            jnp.zeros((length * num_envs, frame.row_words), jnp.uint32),
            jnp.zeros((steps * num_envs, rest.row_words), jnp.uint32),
            jnp.zeros((num_envs,), jnp.int32),
            jnp.ones((num_envs,), bool),
            empty_ring(num_envs),
        )

    def frames_of(state: FramesState, env: Array, first: Array, count: int) -> Array:
        """``count`` frames ``[B, count, ..., channels]`` of environments ``[B]``, from number ``first`` ``[B]`` on."""
        numbers = (first[:, None] + jnp.arange(count, dtype=jnp.int32)) % length
        rows = jnp.take(state.frames, (numbers * num_envs + env[:, None]).reshape(-1), axis=0, mode="clip")
        images = frame.unpack(rows, [])["frame"]
        return images.reshape(first.shape[0], count, *images.shape[1:])

    def split(observation: PyTree) -> Array:
        """``[B, ..., C]`` to ``[B, frame_stack, ..., channels]``."""
        (images,) = jax.tree.leaves(observation)
        parts = images.reshape(*images.shape[:-1], frame_stack, channels)
        return jnp.moveaxis(parts, -2, 1)

    def join(images: Array) -> Array:
        return jnp.moveaxis(images, 1, -2).reshape(images.shape[0], *shape)

    def add(state: FramesState, transitions: Transition, valid: Array | None) -> Added:
        envs = jnp.arange(num_envs, dtype=jnp.int32)
        real = jnp.ones((num_envs,), bool) if valid is None else valid
        evicted = oldest_to_evict(state, envs, real)
        number = jnp.where(state.fresh, state.head + frame_stack, state.head)
        count = jnp.sum(evicted < NO_PLACE, axis=1, dtype=jnp.int32)

        # The newest frame everywhere, and the whole first stack of each episode that begins now.
        pack = lambda images: frame.pack({"frame": images.reshape(-1, *images.shape[2:])})[0]
        place = lambda numbers: (numbers % length) * num_envs
        newest = jnp.where(real, place(number) + envs, NO_PLACE)
        frames = write_at(state.frames, newest, pack(split(transitions.next_observation)[:, -1:]))
        begins = state.fresh & real
        firsts = place(state.head[:, None] + jnp.arange(frame_stack, dtype=jnp.int32)) + envs[:, None]
        firsts = jnp.where(begins[:, None], firsts, NO_PLACE).reshape(-1)
        # Few steps begin an episode, and to take all frames out of all stacks is most of the work.
        stacks = jax.lax.cond(
            jnp.any(begins), lambda o: pack(split(o)), lambda o: jnp.zeros((firsts.size, frame.row_words), jnp.uint32),
            transitions.observation,
        )  # fmt: skip
        frames = write_at(frames, firsts, stacks)

        row, _ = rest.pack(
            _Rest(
                transitions.action, transitions.reward, transitions.terminated, transitions.truncated,
                (number - 1) % modulus,
            )
        )  # fmt: skip
        # No count is negative; but so no row is written before the oldest are read, and XLA has no reason to copy.
        written = places_to_write(state.ring, steps, valid) + (count < 0)
        rows = write_at(state.rows, written, row)
        ended = transitions.terminated | transitions.truncated
        ring = advance_ring(state.ring, steps, valid, count)
        return Added(
            FramesState(
                frames,
                rows,
                jnp.where(real, (number + 1) % modulus, state.head),
                jnp.where(real, ended, state.fresh),
                ring,
            ),
            written,
            # What is written over at once is not gone.
            jnp.where(evicted == written[:, None], NO_PLACE, evicted).reshape(-1),
        )

    def oldest_to_evict(state: FramesState, envs: Array, real: Array) -> Array:
        """``[num_envs, window]`` places of those transitions whose frames are about to be written over."""
        coming = jnp.where(state.fresh, window, 1)[:, None]
        offsets = jnp.arange(window, dtype=jnp.int32)
        oldest = ((state.ring.position - state.ring.filled)[:, None] + offsets) % steps
        places = oldest * num_envs + envs[:, None]
        last = rest.unpack(jnp.take(state.rows, places.reshape(-1), axis=0, mode="clip"), []).frame
        # Frames from the first that the transition needs to the last that is about to be written.
        span = (state.head[:, None] - (last.reshape(places.shape) - frame_stack + 1)) % modulus + coming
        doomed = real[:, None] & (offsets < state.ring.filled[:, None]) & (span > length)
        return jnp.where(doomed, places, NO_PLACE)

    def read(state: FramesState, first: Array, last: Array | None) -> Transition:
        rows = lambda places: rest.unpack(jnp.take(state.rows, places, axis=0, mode="clip"), [])
        start = rows(first)
        env = first % num_envs
        oldest = start.frame - frame_stack + 1 + modulus
        if last is None:
            images = frames_of(state, env, oldest, window)
            observation, next_observation = images[:, :-1], images[:, 1:]
        else:
            observation = frames_of(state, env, oldest, frame_stack)
            next_observation = frames_of(state, env, rows(last).frame - frame_stack + 2 + modulus, frame_stack)
        tree = jax.tree.structure(example.observation)
        return Transition(
            tree.unflatten([join(observation)]), start.action, start.reward, start.terminated, start.truncated,
            tree.unflatten([join(next_observation)]),
        )  # fmt: skip

    def ends(state: FramesState, places: Array) -> tuple[Array, Array, Array]:
        r = rest.unpack(jnp.take(state.rows, places.reshape(-1), axis=0, mode="clip"), [])
        return tuple(x.reshape(places.shape) for x in (r.reward, r.terminated, r.truncated))

    def interrupt(state: FramesState) -> FramesState:
        newest = newest_places(state.ring, steps)
        row = rest.unpack(jnp.take(state.rows, newest, axis=0, mode="clip"), [])
        packed, _ = rest.pack(row._replace(truncated=jnp.ones_like(row.truncated)))
        return state._replace(rows=write_at(state.rows, newest, packed), fresh=jnp.ones_like(state.fresh))

    nbytes = num_envs * (length * frame.item_bytes + steps * rest.item_bytes + 13)
    return Storage(init, add, read, ends, interrupt, steps, num_envs, nbytes, may_evict=True)
