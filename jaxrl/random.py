"""Random numbers that JAX has more slowly, or not at all."""

from __future__ import annotations

import jax
import jax.numpy as jnp

LARGEST_PACKED = 2048


def permutation(key: jax.Array, n: int) -> jax.Array:
    """A random order of ``0 .. n - 1``.

    Up to 2048 items, each index is sorted by at least 21 random bits in front of it in one word: a single
    array to sort instead of two, several times as fast on a CPU. Two items tie with a probability below
    2^-20 and then keep their order, which no use of a minibatch can notice.
    """
    if n > LARGEST_PACKED:
        return jax.random.permutation(key, n)
    width = max(1, (n - 1).bit_length())
    words = (jax.random.bits(key, (n,), jnp.uint32) >> width << width) | jnp.arange(n, dtype=jnp.uint32)
    return (jax.lax.sort(words, is_stable=False) & ((1 << width) - 1)).astype(jnp.int32)


def minibatch_indices(key: jax.Array, size: int, num_epochs: int, num_minibatches: int) -> jax.Array:
    """``[num_epochs * num_minibatches, size / num_minibatches]`` indices: every epoch in an order of its own."""
    orders = jax.vmap(lambda key: permutation(key, size))(jax.random.split(key, num_epochs))
    return orders.reshape(num_epochs * num_minibatches, -1)


def uniform_action(key: jax.Array, shape: tuple[int, int], allowed: jax.Array | None = None) -> jax.Array:
    """Uniformly random actions.

    Args:
        key: one key for the batch; rows draw independently.
        shape: ``(B, A)``.
        allowed: ``[B, A]`` booleans, which actions to draw from, at least one in each row; None for all.

    Returns:
        ``[B]`` int32 actions.
    """
    if allowed is None:
        return jax.random.randint(key, shape[:1], 0, shape[1], jnp.int32)
    return jax.random.categorical(key, jnp.where(allowed, 0.0, -jnp.inf), axis=-1).astype(jnp.int32)
