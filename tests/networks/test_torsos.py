import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.networks.torsos import ACTIVATIONS, MLP, Torso, initializer, torso_input, torso_kind

FORMULAS = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_their_formulas(name):
    x = np.linspace(-3, 3, 13)
    # JAX's default GELU is the tanh approximation, which is this close.
    atol = 1e-3 if name == "gelu" else 1e-6
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(x)), [FORMULAS[name](v) for v in x], rtol=1e-5, atol=atol)


def test_an_mlp_is_its_matrix_products(rng, key):
    network = MLP((5, 3), "relu")
    x = rng.normal(size=(4, 2)).astype(np.float32)
    params = jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), network.init(key, x))
    first, second = params["params"]["Dense_0"], params["params"]["Dense_1"]
    hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
    want = np.maximum(hidden @ second["kernel"] + second["bias"], 0)
    np.testing.assert_allclose(network.apply(params, x), want, rtol=1e-4, atol=1e-5)


def test_an_mlp_without_layers_is_the_identity(key):
    x = jnp.ones((2, 7))
    network = MLP(())
    np.testing.assert_array_equal(network.apply(network.init(key, x), x), x)


def test_biases_start_at_zero_and_kernels_as_asked(key):
    params = MLP((8,), kernel_init=nn.initializers.orthogonal(2.0)).init(key, jnp.ones((1, 8)))["params"]["Dense_0"]
    np.testing.assert_array_equal(params["bias"], np.zeros(8))
    np.testing.assert_allclose(params["kernel"].T @ params["kernel"], 4 * np.eye(8), atol=1e-4)


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
    ],
)
def test_initialisers_by_name(key, text, deviation):
    kernel = initializer(text, nn.initializers.zeros)(key, (400, 100))
    np.testing.assert_allclose(np.std(kernel), deviation, rtol=0.02)
    assert abs(np.mean(kernel)) < 0.02 * deviation
    if text.startswith("orthogonal"):
        np.testing.assert_allclose(kernel.T @ kernel, 400 * deviation**2 * np.eye(100), atol=1e-4)


def test_an_initialiser_that_is_not_named(key):
    assert initializer("default", nn.initializers.ones) is nn.initializers.ones
    for text in ("ortogonal", "orthogonal(0)", "orthogonal(x)", "orthogonal(1", "default(2)", "glorot_normal)", ""):
        with pytest.raises(ValueError, match="kernel_init=.*must be default or one of lecun_normal"):
            initializer(text, nn.initializers.ones)


def test_any_number_of_batch_axes(key):
    network = MLP((5, 6))
    params = jax.jit(network.init)(key, jnp.ones(2))
    for batch in [(), (4,), (3, 4)]:
        assert jax.eval_shape(network.apply, params, jnp.ones((*batch, 2))).shape == (*batch, 6)


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


def test_a_kernel_that_is_larger_than_what_is_left_of_an_image():
    space = spaces.Box(0, 255, (10, 10, 4), np.uint8)
    assert torso_kind(space, "conv", ((8, 4, 2), (8, 4, 1))) == "conv"
    with pytest.raises(ValueError, match=r"convolutions=.*5 x 5 finds only 4 .*\(10, 10, 4\)"):
        torso_kind(space, "conv", ((8, 4, 2), (8, 5, 1)))
    with pytest.raises(ValueError, match="torso='conv'.*images"):
        torso_kind(spaces.Box(-1, 1, (4,)), "conv", ((8, 4, 2),))


def test_the_torso_goes_by_the_observation():
    box = lambda shape, dtype=np.float32: spaces.Box(0, 255, shape, dtype)
    assert torso_kind(box((84, 84, 4), np.uint8)) == "nature_cnn"
    assert torso_kind(box((10, 10, 4))) == "minatar_cnn"
    assert torso_kind(box((4,))) == torso_kind(spaces.Discrete(3)) == torso_kind(box((84, 84, 4)), "mlp") == "mlp"
    with pytest.raises(ValueError, match="torso='nature_cnn'.*images"):
        torso_kind(box((4,)), "nature_cnn")


def test_bytes_are_divided_by_255_and_other_images_are_left_alone():
    image = np.full((2, 10, 10, 1), 51)
    np.testing.assert_allclose(
        torso_input(spaces.Box(0, 255, (10, 10, 1), np.uint8), image.astype(np.uint8), "minatar_cnn"), image / 255
    )
    np.testing.assert_allclose(
        torso_input(spaces.Box(0, 1, (10, 10, 1), np.float32), image.astype(np.float32), "minatar_cnn"), image
    )
    assert torso_input(spaces.Box(0, 255, (10, 10, 1), np.uint8), image.astype(np.uint8), "mlp").shape == (2, 100)
