import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.images import ConvSettings, spatial_softargmax, with_coordinates
from jaxrl.networks.torsos import Torso


@pytest.mark.parametrize(
    ("kind", "shape", "features"),
    [
        # 84 -> 20 -> 9 -> 7 pixels a side, 64 channels
        ("nature_cnn", (84, 84, 4), 7 * 7 * 64),
        # 10 -> 8 pixels, 16 channels
        ("minatar_cnn", (10, 10, 6), 8 * 8 * 16),
        # 84 -> 42 -> 21 -> 11 pixels, 32 channels
        ("impala_resnet", (84, 84, 4), 11 * 11 * 32),
    ],
)
def test_convolutions_have_the_sizes_of_their_papers(key, kind, shape, features):
    out = jax.eval_shape(Torso(kind, ()).init_with_output, key, jnp.ones((2, 3, *shape)))[0]
    assert out.shape == (2, 3, features)
    dense = jax.eval_shape(Torso(kind, (7,)).init_with_output, key, jnp.ones((2, *shape)))[0]
    assert dense.shape == (2, 7)


@pytest.mark.parametrize("axes", [2, 1])
def test_convolutions_given_as_a_list(rng, key, axes):
    layers = ((3, 4, 2), (5, 3, 1, 1))
    x = rng.normal(size=(2, *(11,) * axes, 2)).astype(np.float32)
    torso = Torso("conv" if axes == 2 else "conv1d", (), "tanh", convolutions=ConvSettings(layers))
    params = torso.init(key, x)["params"]["Convolutions_0"]
    want = x
    numbers = ("NHWC", "HWIO", "NHWC") if axes == 2 else ("NWC", "WIO", "NWC")
    for name, stride, padding in (("Conv_0", 2, 0), ("Conv_1", 1, 1)):
        kernel, pads = params[name]["kernel"], [(padding, padding)] * axes
        want = jax.lax.conv_general_dilated(want, kernel, (stride,) * axes, pads, dimension_numbers=numbers)
        want = jnp.tanh(want)
    # 11 -> 4 -> 4 pixels a side, with one of padding.
    assert want.shape == (2, *(4,) * axes, 5)
    got = torso.apply({"params": {"Convolutions_0": params}}, x)
    np.testing.assert_allclose(got, want.reshape(2, -1), rtol=1e-4, atol=1e-5)


def test_coordinates_of_pixels():
    image = jnp.full((2, 3, 2, 1), 7.0)
    rows, columns = [[-1, -1], [0, 0], [1, 1]], [[-1, 1]] * 3
    got = with_coordinates(image)
    assert got.shape == (2, 3, 2, 3)
    for i in range(2):
        np.testing.assert_array_equal(got[i], np.stack([np.full((3, 2), 7.0), rows, columns], axis=-1))
    # An axis of one pixel has its middle there.
    flat = with_coordinates(jnp.zeros((1, 5, 0)))
    np.testing.assert_array_equal(flat, [[[0, -1], [0, -0.5], [0, 0], [0, 0.5], [0, 1]]])
    np.testing.assert_array_equal(with_coordinates(jnp.zeros((3, 1)), axes=1), [[0, -1], [0, 0], [0, 1]])


def test_where_a_channel_is_active():
    image = np.zeros((2, 5, 3, 2), np.float32)
    image[0, 4, 1, 0] = 100.0  # the last row, in the middle
    image[0, 1, 0, 1] = 100.0  # a quarter down, the first column
    got = jax.jit(spatial_softargmax)(image)
    np.testing.assert_allclose(got, [[1, 0, -0.5, -1], [0, 0, 0, 0]], atol=1e-6)
    # Of three numbers 0, 0 and log 2 the last has half of the weight: -1 / 4 + 0 / 4 + 1 / 2.
    row = jnp.log(jnp.array([[1.0], [1.0], [2.0]]))
    np.testing.assert_allclose(spatial_softargmax(row, axes=1), [0.25], rtol=1e-6)


@pytest.mark.parametrize(("kind", "axes"), [("conv", 2), ("conv1d", 1)])
def test_a_torso_that_sees_and_tells_coordinates(rng, key, kind, axes):
    x = rng.normal(size=(4, *(7,) * axes, 2)).astype(np.float32)
    torso = Torso(kind, (), convolutions=ConvSettings(((3, 3, 2),), coordinates=True, pooling="spatial_softargmax"))
    params = torso.init(key, x)
    layer = params["params"]["Convolutions_0"]["Conv_0"]
    assert layer["kernel"].shape == (*(3,) * axes, 2 + axes, 3)
    seen = nn.Conv(3, (3,) * axes, 2, "VALID").apply({"params": layer}, with_coordinates(x, axes))
    want = spatial_softargmax(jax.nn.relu(seen), axes)
    assert want.shape == (4, 3 * axes)
    np.testing.assert_allclose(torso.apply(params, x), want, rtol=1e-4, atol=1e-5)
