"""Several networks as one; ``test_actor_critic.py`` has those of critics, with dropout and normalisation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.ensemble import Ensemble


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(2)(x.reshape(x.shape[0], -1))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)])
def test_members_begin_apart_and_see_the_same_inputs(key, shape):
    x = jax.random.normal(key, shape)
    ensemble = Ensemble(Net, 3)
    params = jax.jit(ensemble.init)(key, x)
    (kernels,) = (p for p in jax.tree.leaves(params) if p.ndim == 3)
    assert kernels.shape[0] == 3 and not np.any(kernels[0] == kernels[1]) and not np.any(kernels[1] == kernels[2])
    out = jax.jit(ensemble.apply)(params, x)
    for i in range(3):
        np.testing.assert_allclose(out[i], x.reshape(4, -1) @ kernels[i], rtol=1e-5, atol=1e-6)
    # The first two are an ensemble of two.
    first = jax.jit(Ensemble(Net, 2).apply)(jax.tree.map(lambda p: p[:2], params), x)
    np.testing.assert_allclose(first, out[:2], rtol=1e-5, atol=1e-6)
    assert jnp.shape(out) == (3, 4, 2)
