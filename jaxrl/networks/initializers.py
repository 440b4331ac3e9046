"""Initialisers of kernels that may run for many seeds at once."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
Initializer = Callable[..., Array]


def orthogonal(scale: float = 1.0) -> Initializer:
    """Flax's initialiser with (semi-)orthogonal kernels, times ``scale``; under ``vmap`` one matrix after the other.

    On a CPU JAX shares the QR decompositions of a batch out to XLA's threads, and waits for them in such a thread. When
    each thread is in such a wait, for the kernels of several layers at once, none is left to do the work, and the
    program stops for ever: four threads, twelve layers and eight seeds were enough. A loop over the batch has no such
    wait and gives the same numbers.

    Source: Saxe et al. 2014 (arXiv 1312.6120), section 2.
    """
    of_flax = nn.initializers.orthogonal(scale)

    def initialise(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        return jax.custom_batching.sequential_vmap(lambda key: of_flax(key, shape, dtype))(key)

    return initialise
