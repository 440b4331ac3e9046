import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.convolution import Conv


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize(("size", "stride"), [(8, 4), (4, 2), (3, 1), (3, 2), (1, 1)])
def test_it_is_flax_s_convolution_with_the_same_parameters_and_gradients(rng, key, size, stride, padding):
    x = jnp.asarray(rng.normal(size=(2, 17, 14, 3)), jnp.float32)
    ours, theirs = Conv(5, size, stride, padding), nn.Conv(5, (size, size), (stride, stride), padding)
    params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32), theirs.init(key, x))
    assert jax.tree.map(jnp.shape, ours.init(key, x)) == jax.tree.map(jnp.shape, params)
    loss = lambda module: lambda params, x: jnp.sum(jnp.sin(module.apply(params, x)))
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), rtol=1e-4, atol=1e-4)
    gradients = (jax.grad(loss(module), argnums=(0, 1))(params, x) for module in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), *gradients)


def test_any_number_of_axes_may_come_first(key):
    x = jax.random.normal(key, (2, 3, 6, 6, 2))
    module = Conv(4, 3)
    params = module.init(key, x)
    np.testing.assert_allclose(module.apply(params, x)[1, 2], module.apply(params, x[1, 2]), rtol=1e-5, atol=1e-5)
