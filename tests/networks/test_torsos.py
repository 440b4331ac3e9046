import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.networks.images import ConvSettings
from jaxrl.networks.torsos import MLP, Torso, torso_input, torso_kind


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


def test_any_number_of_batch_axes(key):
    network = MLP((5, 6))
    params = jax.jit(network.init)(key, jnp.ones(2))
    for batch in [(), (4,), (3, 4)]:
        assert jax.eval_shape(network.apply, params, jnp.ones((*batch, 2))).shape == (*batch, 6)


def test_a_kernel_that_is_larger_than_what_is_left_of_an_image():
    space = spaces.Box(0, 255, (10, 10, 4), np.uint8)
    assert torso_kind(space, "conv", ((8, 4, 2), (8, 4, 1))) == "conv"
    with pytest.raises(ValueError, match=r"convolutions=.*5 x 5 finds only 4 .*\(10, 10, 4\)"):
        torso_kind(space, "conv", ((8, 4, 2), (8, 5, 1)))
    # One pixel of padding on each side makes six of four.
    assert torso_kind(space, "conv", ((8, 4, 2), (8, 6, 1, 1))) == "conv"
    with pytest.raises(ValueError, match="7 x 7 finds only 6 "):
        torso_kind(space, "conv", ((8, 4, 2), (8, 7, 1, 1)))
    with pytest.raises(ValueError, match="torso='conv'.*images"):
        torso_kind(spaces.Box(-1, 1, (4,)), "conv", ((8, 4, 2),))


def test_convolutions_along_one_axis():
    signal, image = spaces.Box(-1, 1, (9, 2)), spaces.Box(0, 255, (10, 10, 4), np.uint8)
    assert torso_kind(signal) == torso_kind(spaces.Dict(a=signal)) == "mlp"
    assert torso_kind(signal, "conv1d", ((8, 4, 1), (8, 6, 1))) == "conv1d"
    with pytest.raises(ValueError, match=r"convolutions=.*kernel of 7 finds only 6 .*\(9, 2\)"):
        torso_kind(signal, "conv1d", ((8, 4, 1), (8, 7, 1)))
    with pytest.raises(ValueError, match=r"torso='conv1d': needs observations that are sequences \[W, C\]"):
        torso_kind(image, "conv1d", ((8, 3, 1),))
    with pytest.raises(ValueError, match=r"torso='conv': needs observations that are images \[H, W, C\]"):
        torso_kind(signal, "conv", ((8, 3, 1),))


def test_parts_of_an_observation_that_are_convolved():
    space = spaces.Dict(
        image=spaces.Box(0, 255, (5, 5, 1), np.uint8), signal=spaces.Box(-1, 1, (9, 2)), x=spaces.Box(-1, 1, (3,))
    )
    observation = {"image": jnp.ones((4, 5, 5, 1), jnp.uint8), "signal": jnp.ones((4, 9, 2)), "x": jnp.ones((4, 3))}
    for kind, images, features in (("conv", [(5, 5, 1)], [(18,), (3,)]), ("conv1d", [(9, 2)], [(25,), (3,)])):
        assert torso_kind(space, kind, ((6, 3, 1),)) == kind
        given = torso_input(space, observation, kind)
        assert [x.shape[1:] for x in given.images] == images
        assert [x.shape[1:] for x in given.features] == features
        torso = Torso(kind, (), convolutions=ConvSettings(((6, 3, 1),)))
        out = jax.eval_shape(torso.init_with_output, jax.random.key(0), given)[0]
        # 3 x 3 or 7 pixels of six features are left.
        assert out.shape == (4, (54 + 21) if kind == "conv" else (42 + 28))


def test_the_torso_goes_by_the_observation():
    box = lambda shape, dtype=np.float32: spaces.Box(0, 255, shape, dtype)
    assert torso_kind(box((84, 84, 4), np.uint8)) == "nature_cnn"
    assert torso_kind(box((10, 10, 4))) == "minatar_cnn"
    assert torso_kind(box((4,))) == torso_kind(spaces.Discrete(3)) == torso_kind(box((84, 84, 4)), "mlp") == "mlp"
    with pytest.raises(ValueError, match="torso='nature_cnn'.*images"):
        torso_kind(box((4,)), "nature_cnn")
    assert torso_kind(box((36, 36, 1))) == "nature_cnn" and torso_kind(box((35, 36, 1))) == "minatar_cnn"
    assert torso_kind(box((3, 3, 1))) == "minatar_cnn" and torso_kind(box((2, 2, 3))) == "mlp"
    with pytest.raises(ValueError, match=r"torso='nature_cnn': a kernel of 3 x 3 finds only 2 pixels a side left"):
        torso_kind(box((35, 35, 1)), "nature_cnn")


def test_bytes_are_divided_by_255_and_other_images_are_left_alone():
    image = np.full((2, 10, 10, 1), 51)
    np.testing.assert_allclose(
        torso_input(spaces.Box(0, 255, (10, 10, 1), np.uint8), image.astype(np.uint8), "minatar_cnn"), image / 255
    )
    np.testing.assert_allclose(
        torso_input(spaces.Box(0, 1, (10, 10, 1), np.float32), image.astype(np.float32), "minatar_cnn"), image
    )
    assert torso_input(spaces.Box(0, 255, (10, 10, 1), np.uint8), image.astype(np.uint8), "mlp").shape == (2, 100)
