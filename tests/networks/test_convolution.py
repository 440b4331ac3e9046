import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks import convolution
from jaxrl.networks.convolution import Conv, convolve_by_products


def _agree(rng, key, ours, theirs, x):
    shapes = jax.eval_shape(theirs.init, key, x)
    assert jax.tree.map(jnp.shape, jax.eval_shape(ours.init, key, x)) == jax.tree.map(jnp.shape, shapes)
    params = jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), shapes)

    def values(module):
        loss = lambda params, x: jnp.sum(jnp.sin(module.apply(params, x)))
        gradients = jax.grad(loss, argnums=(0, 1))
        return jax.jit(lambda params, x: (module.apply(params, x), gradients(params, x)))(params, x)

    (ours, our_gradients), (theirs, their_gradients) = values(ours), values(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    jax.tree.map(close, our_gradients, their_gradients)


@pytest.mark.parametrize("padding", ["VALID", "SAME", 0, 2])
@pytest.mark.parametrize(("size", "stride"), [(8, 4), (4, 2), (3, 1), (3, 2), (1, 1)])
def test_it_is_flax_s_convolution_with_the_same_parameters_and_gradients(rng, key, size, stride, padding):
    x = jnp.asarray(rng.normal(size=(2, 17, 14, 3)), jnp.float32)
    _agree(rng, key, Conv(5, size, stride, padding), nn.Conv(5, (size, size), (stride, stride), padding), x)


@pytest.mark.parametrize("padding", ["VALID", "SAME", 1])
@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 1), (3, 2), (1, 1)])
def test_of_sequences_too(rng, key, size, stride, padding):
    x = jnp.asarray(rng.normal(size=(2, 15, 3)), jnp.float32)
    _agree(rng, key, Conv(5, size, stride, padding, axes=1), nn.Conv(5, (size,), (stride,), padding), x)


@pytest.mark.parametrize("padding", ["SAME", 1])
@pytest.mark.parametrize("axes", [1, 2])
def test_on_other_devices_than_cpus_too(rng, key, monkeypatch, axes, padding):
    monkeypatch.setattr(convolution, "convolve_by_products", convolution._convolve)
    x = jnp.asarray(rng.normal(size=(*(2, 15, 8)[: axes + 1], 3)), jnp.float32)
    _agree(rng, key, Conv(5, 3, 2, padding, axes=axes), nn.Conv(5, (3,) * axes, (2,) * axes, padding), x)


@pytest.mark.parametrize("pads", [[(0, 0), (0, 0)], [(1, 2), (3, 0)]])
@pytest.mark.parametrize(("sizes", "strides"), [((2, 6), (1, 3)), ((4, 3), (2, 2)), ((1, 5), (2, 1))])
def test_products_of_rectangles_are_xla_s_convolution(rng, sizes, strides, pads):
    x, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 9, 13, 3), (*sizes, 3, 5)))
    want = jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(convolve_by_products(x, kernel, strides, pads), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("images", "parts"), [(6, 3), (7, 7)])
def test_many_images_are_taken_in_parts(rng, key, monkeypatch, images, parts):
    x = jnp.asarray(rng.normal(size=(images, 10, 10, 3)), jnp.float32)
    module = Conv(5, 3)
    params = module.init(key, x)

    def program():
        return jax.make_jaxpr(lambda x: module.apply(params, x))(x)

    def results():
        loss = lambda params, x: jnp.sum(jnp.sin(module.apply(params, x)))
        gradients = jax.grad(loss, argnums=(0, 1))(params, x)
        return module.apply(params, x), gradients, jax.jvp(lambda x: jax.grad(loss)(params, x), (x,), (x,))[1]

    whole = results()
    assert "scan" not in str(program())
    monkeypatch.setattr(convolution, "PATCHES", 2 * 4 * 8 * 8 * 27)
    assert f"length={parts}" in str(program())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), whole, results())


@pytest.mark.parametrize("axes", [1, 2])
def test_any_number_of_axes_may_come_first(key, axes):
    x = jax.random.normal(key, (2, 3, *(6,) * axes, 2))
    module = Conv(4, 3, axes=axes)
    params = module.init(key, x)
    np.testing.assert_allclose(module.apply(params, x)[1, 2], module.apply(params, x[1, 2]), rtol=1e-5, atol=1e-5)
