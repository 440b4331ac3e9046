import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.networks import orthogonal


def test_a_kernel_is_that_of_flax_whatever_is_mapped():
    shape, keys = (6, 4), jax.random.split(jax.random.key(0), (2, 3))
    ours, flax = orthogonal(0.5), nn.initializers.orthogonal(0.5)
    mapped = jax.jit(jax.vmap(jax.vmap(lambda key: ours(key, shape, jnp.float32))))(keys)
    assert mapped.shape == (2, 3, *shape)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(ours(keys[i, j], shape), flax(keys[i, j], shape, jnp.float32))
            np.testing.assert_allclose(mapped[i, j], ours(keys[i, j], shape), atol=1e-6)  # another program
    np.testing.assert_allclose(mapped[0, 0].T @ mapped[0, 0], 0.25 * np.eye(4), atol=1e-6)


def test_many_layers_for_many_seeds_do_not_wait_for_each_other_for_ever():
    """With flax's initialiser this program stops at its first call, in a pool of two threads as of four."""
    program = """
import jax
from jaxrl.networks import orthogonal
make = orthogonal(1.0)
layers = lambda key: [make(k, (32, 32)) for k in jax.random.split(key, 12)]
program = jax.jit(jax.vmap(layers))
for seed in range(20):
    jax.block_until_ready(program(jax.random.split(jax.random.key(seed), 8)))
"""
    environment = {**os.environ, "NPROC": "2", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
