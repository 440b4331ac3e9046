"""The places of a replay buffer: a ring of steps for each environment.

Place ``t * num_envs + b`` is step ``t`` of environment ``b``'s ring.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.types import Array, Key


class Ring(NamedTuple):
    """Where each environment's ring stands, ``[num_envs]``."""

    position: Array
    """Next step to write."""
    filled: Array
    """Steps held: the last so many before ``position``."""


def empty_ring(num_envs: int) -> Ring:
    """Rings that hold nothing."""
    return Ring(jnp.zeros((num_envs,), jnp.int32), jnp.zeros((num_envs,), jnp.int32))


def advance_ring(ring: Ring, steps: int, valid: Array | None, evicted: Array | int = 0) -> Ring:
    """The rings of ``steps`` places after one step was written where ``valid`` (None: everywhere).

    ``evicted`` is how many of the oldest were given up before, beyond the one that is written over.
    """
    advance = 1 if valid is None else valid.astype(jnp.int32)
    return Ring((ring.position + advance) % steps, jnp.minimum(ring.filled - evicted + advance, steps))


def places_to_write(ring: Ring, steps: int, valid: Array | None) -> Array:
    """``[num_envs]`` places of the next step, beyond the end where nothing is to be written."""
    num_envs = ring.position.shape[0]
    position = ring.position if valid is None else jnp.where(valid, ring.position, steps)
    return position * num_envs + jnp.arange(num_envs, dtype=jnp.int32)


def newest_places(ring: Ring, steps: int) -> Array:
    """``[num_envs]`` places of the last step written, beyond the end where there is none."""
    num_envs = ring.position.shape[0]
    step = jnp.where(ring.filled > 0, (ring.position - 1) % steps, steps)
    return step * num_envs + jnp.arange(num_envs, dtype=jnp.int32)


def write_at(array: Array, places: Array, new: Array) -> Array:
    """``array`` with the rows ``new`` ``[B, ...]`` at ``places`` ``[B]``, in place; beyond the end nothing happens."""
    if places.shape[0] == 1:
        # XLA makes of a single row a select over the whole array.
        places, new = jnp.repeat(places, 2), jnp.repeat(new, 2, axis=0)
    return array.at[places].set(new, mode="drop")


def sample_places(
    ring: Ring, steps: int, key: Key, batch_size: int, *, may_evict: bool, replacement: bool = True
) -> Array:
    """``[batch_size]`` places, uniform over the steps held, with replacement or without.

    ``may_evict`` says whether the oldest may be given up before a ring is full; if not, a ring that holds n
    steps has them at 0 to n - 1.
    """
    num_envs = ring.position.shape[0]
    # Number the steps held, one environment's after another's.
    end = jnp.cumsum(ring.filled)
    number = (uniform_below if replacement else distinct_below)(key, batch_size, end[-1])
    if num_envs == 1:
        step, env = number, jnp.zeros((), jnp.int32)
    else:
        env = jnp.searchsorted(end, number, side="right", method="compare_all")
        step = number - (end - ring.filled)[env]
    if may_evict:
        step = (step + (ring.position - ring.filled)[env]) % steps
    return step * num_envs + env


def following_places(ring: Ring, steps: int, places: Array, n: int) -> tuple[Array, Array]:
    """The places ``[B, n]`` of ``n`` steps that begin at ``places`` ``[B]``, and how many of them are held ``[B]``."""
    num_envs = ring.position.shape[0]
    env, step = places % num_envs, places // num_envs
    window = (step[:, None] + jnp.arange(n, dtype=jnp.int32)) % steps
    held = (ring.position[env] - step - 1) % steps + 1
    return window * num_envs + env[:, None], jnp.minimum(held, n)


def holds(ring: Ring, steps: int, places: Array) -> Array:
    """Whether ``places`` ``[B]``, which may be out of range, are of steps held."""
    num_envs = ring.position.shape[0]
    env, step = places % num_envs, places // num_envs
    inside = (places >= 0) & (places < steps * num_envs)
    return inside & ((ring.position[env] - step - 1) % steps < ring.filled[env])


def distinct_below(key: Key, batch_size: int, bound: Array) -> Array:
    """``[B]`` integers in ``[0, bound)``, each as likely as any other, and none twice if ``bound >= B``.

    One is drawn from each of ``B`` parts of the range, and all are turned by the same random number: work for ``B``
    items, whatever the bound.
    """
    part_key, turn_key = jax.random.split(key)
    bound, part = jnp.maximum(bound, 1), jnp.arange(batch_size)
    size, rest = bound // batch_size, bound % batch_size
    begin = part * size + jnp.minimum(part, rest)
    number = begin + uniform_below(part_key, batch_size, size + (part < rest))
    return (number + uniform_below(turn_key, 1, bound)) % bound


def uniform_below(key: Key, batch_size: int, bound: Array) -> Array:
    """``[B]`` integers in ``[0, bound)``, of a scalar or ``[B]`` bounds.

    32 random bits are scaled by their high product: the bits depend on the key alone, and can be drawn ahead of a loop
    in which the bound grows.
    """
    bits = jax.random.bits(key, (batch_size,), jnp.uint32)
    return multiply_high(bits, jnp.maximum(bound, 1).astype(jnp.uint32)).astype(jnp.int32)


def multiply_high(a: Array, b: Array) -> Array:
    """The upper 32 bits of the 64-bit product of two uint32."""
    a_low, a_high = a & 0xFFFF, a >> 16
    b_low, b_high = b & 0xFFFF, b >> 16
    middle = a_high * b_low + ((a_low * b_low) >> 16)
    middle_low = (middle & 0xFFFF) + a_low * b_high
    return a_high * b_high + (middle >> 16) + (middle_low >> 16)
