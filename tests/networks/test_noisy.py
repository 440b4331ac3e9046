import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.heads import QHead
from jaxrl.networks.noisy import Noise, NoisyDense

INPUTS, OUTPUTS, BATCH = 5, 3, 4


def make(key, independent):
    layer = NoisyDense(OUTPUTS, layer=1, independent=independent)
    x = jax.random.normal(jax.random.fold_in(key, 9), (BATCH, INPUTS))
    return layer, layer.init(key, x), x


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
    noise, p = Noise(key, per_row), params["params"]
    rows = BATCH if per_row else 1
    e_in = signed_root(np.asarray(jax.random.normal(jax.random.fold_in(key, 2), (rows, INPUTS))))
    e_out = signed_root(np.asarray(jax.random.normal(jax.random.fold_in(key, 3), (rows, OUTPUTS))))
    y = layer.apply(params, x, noise)
    for b in range(BATCH):
        r = b if per_row else 0
        kernel = p["kernel"] + p["kernel_sigma"] * np.outer(e_in[r], e_out[r])
        np.testing.assert_allclose(y[b], x[b] @ kernel + p["bias"] + p["bias_sigma"] * e_out[r], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("per_row", [False, True])
def test_independent_noise_has_a_draw_for_each_weight(key, per_row):
    layer, params, x = make(key, True)
    p, rows = params["params"], BATCH if per_row else 1
    e_w = np.asarray(jax.random.normal(jax.random.fold_in(key, 2), (rows, INPUTS, OUTPUTS)))
    e_b = np.asarray(jax.random.normal(jax.random.fold_in(key, 3), (rows, OUTPUTS)))
    y = layer.apply(params, x, Noise(key, per_row))
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
    noisy = layer.apply(params, x, Noise(key, per_row=True))
    np.testing.assert_allclose(jnp.mean(noisy, axis=0), layer.apply(params, x[:1])[0], atol=0.02)
    shared = layer.apply(params, x, Noise(key))
    assert len(np.unique(np.asarray(noisy[:, 0]))) > 19_000 and len(np.unique(np.asarray(shared[:, 0]))) == 1


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("outputs", [1, 7])
def test_every_layer_of_a_noisy_head_draws_its_own_noise(key, dueling, outputs):
    head = QHead(2, dueling, outputs, hidden_sizes=(6,), noise="factorised")
    x = jnp.ones((3, INPUTS))
    params = head.init(key, x)
    layers = {2 * i + j for i in range(1, 1 + (4 if dueling else 2)) for j in (0, 1)}
    drawn = []

    class Recording(Noise):
        def normal(self, layer, x, *shape):
            drawn.append(layer)
            return super().normal(layer, x, *shape)

    one = head.apply(params, x, Recording(key))
    assert sorted(drawn) == sorted(layers)
    assert one.shape == ((3, 2) if outputs == 1 else (3, 2, outputs))
    assert not np.allclose(one, head.apply(params, x, Noise(jax.random.key(5))))
