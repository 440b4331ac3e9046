import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_convolutions_given_as_a_list(rng, key):
    layers = ((3, 4, 2), (5, 3, 1))
    x = rng.normal(size=(2, 11, 11, 2)).astype(np.float32)
    torso = Torso("conv", (), "tanh", convolutions=layers)
    params = torso.init(key, x)["params"]["Convolutions_0"]
    want = x
    for name, stride in (("Conv_0", 2), ("Conv_1", 1)):
        kernel = params[name]["kernel"]
        numbers = ("NHWC", "HWIO", "NHWC")
        want = jax.lax.conv_general_dilated(want, kernel, (stride, stride), "VALID", dimension_numbers=numbers)
        want = jnp.tanh(want)
    # 11 -> 4 -> 2 pixels a side.
    assert want.shape == (2, 2, 2, 5)
    got = torso.apply({"params": {"Convolutions_0": params}}, x)
    np.testing.assert_allclose(got, want.reshape(2, -1), rtol=1e-4, atol=1e-5)
