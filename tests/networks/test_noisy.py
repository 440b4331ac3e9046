import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.heads import QHead
from jaxrl.networks.noisy import Noise, NoisyDense, noise_size

INPUTS, OUTPUTS, BATCH = 5, 3, 4


def make(key, independent):
    layer = NoisyDense(OUTPUTS, independent=independent)
    x = jax.random.normal(jax.random.fold_in(key, 9), (BATCH, INPUTS))
    return layer, layer.init(key, x), x


def draw(key, rows, independent):
    """Unit normals for the layer, and the parts of them for inputs (or weights) and for outputs."""
    normals = np.array(Noise(key, per_row=rows > 1).draw(rows, noise_size(INPUTS, OUTPUTS, independent)))
    return normals, normals[:, :-OUTPUTS], normals[:, -OUTPUTS:]


def signed_root(x):
    return np.sign(x) * np.sqrt(np.abs(x))


@pytest.mark.parametrize("independent", [False, True])
def test_without_noise_it_is_a_dense_layer(key, independent):
    layer, params, x = make(key, independent)
    p = params["params"]
    np.testing.assert_allclose(layer.apply(params, x), x @ p["kernel"] + p["bias"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("per_row", [False, True])
def test_factorised_noise_is_an_outer_product_for_each_row(key, per_row):
    layer, params, x = make(key, False)
    p = params["params"]
    normals, e_in, e_out = draw(key, BATCH if per_row else 1, False)
    e_in, e_out = signed_root(e_in), signed_root(e_out)
    y = layer.apply(params, x, normals)
    for b in range(BATCH):
        r = b if per_row else 0
        kernel = p["kernel"] + p["kernel_sigma"] * np.outer(e_in[r], e_out[r])
        np.testing.assert_allclose(y[b], x[b] @ kernel + p["bias"] + p["bias_sigma"] * e_out[r], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("per_row", [False, True])
def test_independent_noise_has_a_draw_for_each_weight(key, per_row):
    layer, params, x = make(key, True)
    p = params["params"]
    normals, e_w, e_b = draw(key, BATCH if per_row else 1, True)
    e_w = e_w.reshape(-1, INPUTS, OUTPUTS)
    y = layer.apply(params, x, normals)
    for b in range(BATCH):
        r = b if per_row else 0
        kernel = p["kernel"] + p["kernel_sigma"] * e_w[r]
        np.testing.assert_allclose(y[b], x[b] @ kernel + p["bias"] + p["bias_sigma"] * e_b[r], rtol=1e-4, atol=1e-5)


def test_the_deviations_start_as_in_the_paper(key):
    # Section 3.2: 0.5 / sqrt(p) factorised, 0.017 independent; means uniform within 1 / sqrt(p) and sqrt(3 / p).
    for independent, deviation, bound in ((False, 0.5 / INPUTS**0.5, INPUTS**-0.5), (True, 0.017, (3 / INPUTS) ** 0.5)):
        p = make(key, independent)[1]["params"]
        np.testing.assert_allclose(p["kernel_sigma"], np.full((INPUTS, OUTPUTS), deviation), rtol=1e-6)
        np.testing.assert_allclose(p["bias_sigma"], np.full(OUTPUTS, deviation), rtol=1e-6)
        assert np.abs(p["kernel"]).max() <= bound < 3 * np.abs(p["kernel"]).max()


@pytest.mark.parametrize("independent", [False, True])
def test_noise_has_mean_zero_and_rows_of_their_own(key, independent):
    layer, params, _ = make(key, independent)
    x = jnp.ones((20_000, INPUTS))
    noisy = layer.apply(params, x, draw(key, 20_000, independent)[0])
    np.testing.assert_allclose(jnp.mean(noisy, axis=0), layer.apply(params, x[:1])[0], atol=0.02)
    shared = layer.apply(params, x, draw(key, 1, independent)[0])
    assert len(np.unique(np.asarray(noisy[:, 0]))) > 19_000 and len(np.unique(np.asarray(shared[:, 0]))) == 1


@pytest.mark.parametrize("independent", [False, True])
def test_rows_of_several_vectors_share_the_noise_of_their_row(key, independent):
    layer, params, _ = make(key, independent)
    x = jax.random.normal(key, (BATCH, 6, INPUTS))
    normals = draw(key, BATCH, independent)[0]
    together = layer.apply(params, x, normals)
    for i in range(6):
        np.testing.assert_allclose(together[:, i], layer.apply(params, x[:, i], normals), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("noise", "dueling", "outputs"), [("factorised", True, 7), ("factorised", False, 1), ("independent", True, 1)]
)
def test_every_layer_of_a_noisy_head_has_noise_of_its_own(key, noise, dueling, outputs):
    head = QHead(2, dueling, outputs, hidden_sizes=(6,), noise=noise)
    x = jnp.ones((3, INPUTS))
    params = head.init(key, x)
    clean, noisy = head.apply(params, x), head.apply(params, x, Noise(key))
    assert noisy.shape == clean.shape == ((3, 2) if outputs == 1 else (3, 2, outputs))
    assert not np.allclose(noisy, head.apply(params, x, Noise(jax.random.key(5))))
    np.testing.assert_allclose(noisy[0], noisy[1], rtol=1e-5)
    assert not np.allclose(*head.apply(params, x, Noise(key, per_row=True))[:2])
    # Every normal is used: the gradient of the outputs with respect to the deviations is nowhere zero.
    many = jax.random.normal(key, (32, INPUTS))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(head.apply(p, many, Noise(key))))))(params)["params"]
    for layer in gradient.values():
        assert np.any(layer["kernel_sigma"] != 0) and np.any(layer["bias_sigma"] != 0)


def test_no_two_layers_of_a_head_are_given_the_same_noise(key):
    head = QHead(2, True, 3, hidden_sizes=(6,), noise="factorised")
    normals = np.concatenate([n.ravel() for n in head._draws(jnp.ones((3, INPUTS)), Noise(key), (2, 1))])
    assert len(normals) == (INPUTS + 6 + 6 + 2 * 3) + (INPUTS + 6 + 6 + 3)
    assert len(np.unique(normals)) == len(normals)
