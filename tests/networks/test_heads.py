import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.heads import QHead, QuantileEmbedding, ValueHead


def _randomized(module, rng, key, x):
    return jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), module.init(key, x))


@pytest.mark.parametrize("batch", [(), (4,), (3, 4)])
def test_a_value_has_no_trailing_axis(key, batch):
    x = jnp.ones((*batch, 5))
    assert jax.eval_shape(ValueHead().init_with_output, key, x)[0].shape == batch
    for dueling in (False, True):
        assert jax.eval_shape(QHead(3, dueling).init_with_output, key, x)[0].shape == (*batch, 3)


def test_heads_are_linear(rng, key):
    x = rng.normal(size=(4, 5)).astype(np.float32)
    params = _randomized(ValueHead(), rng, key, x)
    dense = params["params"]["Dense_0"]
    np.testing.assert_allclose(
        ValueHead().apply(params, x), (x @ dense["kernel"] + dense["bias"])[:, 0], rtol=1e-4, atol=1e-5
    )
    params = _randomized(QHead(3), rng, key, x)
    dense = params["params"]["q"]
    np.testing.assert_allclose(QHead(3).apply(params, x), x @ dense["kernel"] + dense["bias"], rtol=1e-4, atol=1e-5)


def test_dueling_subtracts_the_mean_over_the_actions(rng, key):
    head = QHead(3, dueling=True)
    x = rng.normal(size=(4, 5)).astype(np.float32)
    params = _randomized(head, rng, key, x)
    value, advantage = (x @ params["params"][n]["kernel"] + params["params"][n]["bias"] for n in ("value", "advantage"))
    got = head.apply(params, x)
    for b in range(4):
        for a in range(3):
            np.testing.assert_allclose(
                got[b, a], value[b, 0] + advantage[b, a] - advantage[b].mean(), rtol=1e-4, atol=1e-5
            )
    np.testing.assert_allclose(got.mean(axis=-1), value[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dueling", [False, True])
def test_rows_of_a_batch_do_not_touch_each_other(rng, key, dueling):
    head = QHead(3, dueling)
    x = rng.normal(size=(4, 5)).astype(np.float32)
    params = _randomized(head, rng, key, x)
    changed = x.copy()
    changed[1:] += 10
    np.testing.assert_array_equal(head.apply(params, x)[0], head.apply(params, changed)[0])


def test_a_dueling_head_of_distributions_subtracts_the_mean_over_the_actions_for_each_output(rng, key):
    head = QHead(3, dueling=True, outputs=2)
    x = rng.normal(size=(4, 5)).astype(np.float32)
    params = _randomized(head, rng, key, x)
    value, advantage = (x @ params["params"][n]["kernel"] + params["params"][n]["bias"] for n in ("value", "advantage"))
    advantage = advantage.reshape(4, 3, 2)
    expected = value[:, None, :] + advantage - advantage.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(head.apply(params, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("between", [(), (4,)])
def test_a_dueling_head_subtracts_the_mean_over_the_allowed_actions(rng, key, outputs, between):
    head = QHead(3, dueling=True, outputs=outputs)
    x = jnp.asarray(rng.normal(size=(2, *between, 5)), jnp.float32)
    allowed = np.array([[1, 0, 1], [0, 1, 0]], bool)
    params = head.init(key, x)
    p = params["params"]
    shape = (*x.shape[:-1], 3) if outputs == 1 else (*x.shape[:-1], 3, outputs)
    advantage = np.asarray(x @ p["advantage"]["kernel"]).reshape(shape)
    value = np.asarray(x @ p["value"]["kernel"]).reshape(*x.shape[:-1], 1, *shape[x.ndim :])
    got = jax.jit(head.apply)(params, x, None, allowed)
    for row, choices in enumerate(allowed):
        axis = x.ndim - 2
        mean = advantage[row].compress(choices, axis=axis).mean(axis=axis, keepdims=True)
        np.testing.assert_allclose(got[row], value[row] + advantage[row] - mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dueling", [False, True])
def test_each_stream_has_hidden_layers_of_its_own(key, dueling):
    params = QHead(3, dueling, hidden_sizes=(6,)).init(key, jnp.ones((1, 5)))["params"]
    names = {"advantage_0", "advantage", "value_0", "value"} if dueling else {"q_0", "q"}
    assert set(params) == names
    assert all(params[n]["kernel"].shape == (5, 6) for n in names if n.endswith("_0"))


def test_a_quantile_is_embedded_by_its_cosines(rng, key):
    x, taus = rng.normal(size=(2, 5)).astype(np.float32), rng.random((2, 3)).astype(np.float32)
    module = QuantileEmbedding(num_cosines=4)
    params = module.init(key, x, taus)
    dense = params["params"]["Dense_0"]
    got = module.apply(params, x, taus)
    for b in range(2):
        for n in range(3):
            cosines = np.cos(np.pi * np.arange(4) * taus[b, n])
            expected = x[b] * np.maximum(cosines @ dense["kernel"] + dense["bias"], 0)
            np.testing.assert_allclose(got[b, n], expected, rtol=1e-4, atol=1e-5)
