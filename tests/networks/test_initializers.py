import math
import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks import orthogonal
from jaxrl.networks.initializers import initializer


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


@pytest.mark.parametrize(
    ("text", "deviation"),
    [
        # sqrt(1 / fan_in), sqrt(2 / (fan_in + fan_out)), sqrt(2 / fan_in)
        ("lecun_normal", 0.05),
        ("lecun_uniform", 0.05),
        ("glorot_normal", math.sqrt(2 / 500)),
        ("glorot_uniform", math.sqrt(2 / 500)),
        ("kaiming_normal", math.sqrt(2) * 0.05),
        ("kaiming_uniform(0.5)", math.sqrt(2) * 0.025),
        # Each of the 100 columns of 400 weights has length 1.
        ("orthogonal", 0.05),
        ("orthogonal(1.4142)", 1.4142 * 0.05),
        ("normal", 1.0),
        ("normal(0.02)", 0.02),
        # Of a uniform distribution the bound, divided by sqrt(3).
        ("uniform", 1 / math.sqrt(3)),
        ("uniform(0.02)", 0.02 / math.sqrt(3)),
    ],
)
def test_initialisers_by_name(key, text, deviation):
    kernel = initializer(text, nn.initializers.zeros)(key, (400, 100))
    np.testing.assert_allclose(np.std(kernel), deviation, rtol=0.02)
    assert abs(np.mean(kernel)) < 0.02 * deviation
    if "orthogonal" not in text:
        assert (np.abs(kernel).max() > 1.8 * deviation) == ("normal" in text)  # sqrt(3) bounds what is uniform
    if text.startswith("orthogonal"):
        np.testing.assert_allclose(kernel.T @ kernel, 400 * deviation**2 * np.eye(100), atol=1e-4)


def test_weights_of_one_value_and_within_a_bound(key):
    for text, value in (("constant", 1.0), ("constant(0.02)", 0.02)):
        np.testing.assert_array_equal(
            initializer(text, nn.initializers.zeros)(key, (3, 2)), np.full((3, 2), value, "f")
        )
    kernel = initializer("uniform(0.02)", nn.initializers.zeros)(key, (400, 100))
    assert 0.0199 < kernel.max() <= 0.02 and -0.02 <= kernel.min() < -0.0199


def test_an_initialiser_that_is_not_named(key):
    assert initializer("default", nn.initializers.ones) is nn.initializers.ones
    for text in ("ortogonal", "orthogonal(0)", "orthogonal(x)", "orthogonal(1", "default(2)", "glorot_normal)", ""):
        with pytest.raises(ValueError, match="kernel_init=.*must be default or one of lecun_normal"):
            initializer(text, nn.initializers.ones)
    for other in (None, 2.0):
        with pytest.raises(ValueError, match=r"kernel_init=.*must be a name, such as default"):
            initializer(other, nn.initializers.ones)
