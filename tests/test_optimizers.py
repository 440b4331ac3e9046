import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.optimizers import OPTIMIZERS, apply_gradients

PARAMS = {"a": jnp.array([1.0, 1.0]), "b": jnp.array([[10.0]])}
GRADIENTS = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[-4.0]])}
"""Its global norm is 5; no single leaf's is."""
PLAIN = optax.identity()


def _step(gradients=GRADIENTS, **kwargs):
    return apply_gradients(PLAIN, PARAMS, PLAIN.init(PARAMS), gradients, **kwargs)


@pytest.mark.parametrize(("max_grad_norm", "scale"), [(None, 1.0), (100.0, 1.0), (5.0, 1.0), (2.5, 0.5), (1.0, 0.2)])
def test_the_global_norm_is_clipped_not_each_element(max_grad_norm, scale):
    after = _step(learning_rate=0.1, max_grad_norm=max_grad_norm)
    np.testing.assert_allclose(after.params["a"], [1 - 0.1 * 3 * scale, 1.0], rtol=1e-6)
    np.testing.assert_allclose(after.params["b"], [[10 + 0.1 * 4 * scale]], rtol=1e-6)
    np.testing.assert_allclose(after.grad_norm, 5.0, rtol=1e-6)


def test_a_zero_gradient_changes_nothing():
    after = _step(jax.tree.map(jnp.zeros_like, GRADIENTS), learning_rate=0.1, max_grad_norm=1.0)
    jax.tree.map(np.testing.assert_array_equal, after.params, PARAMS)
    assert after.grad_norm == 0


def test_parts_have_step_sizes_and_bounds_of_their_own():
    apart = {"a": jnp.array([False, False]), "b": jnp.array([[True]])}
    after = _step(learning_rate=(0.1, 0.01), max_grad_norm=(1.5, 1.0), apart=apart)
    np.testing.assert_allclose(after.params["a"], [1 - 0.1 * 1.5, 1.0], rtol=1e-6)  # of norm 3, bound to 1.5
    np.testing.assert_allclose(after.params["b"], [[10 + 0.01 * 1.0]], rtol=1e-6)  # of norm 4, bound to 1
    np.testing.assert_allclose(after.grad_norm, 5.0, rtol=1e-6)
    unbound = _step(learning_rate=(0.1, 0.01), apart=apart)
    np.testing.assert_allclose(unbound.params["b"], [[10 + 0.01 * 4.0]], rtol=1e-6)


def test_a_nan_is_not_hidden():
    after = _step({"a": jnp.array([jnp.nan, 0.0]), "b": jnp.array([[1.0]])}, learning_rate=0.1, max_grad_norm=1.0)
    assert np.isnan(after.grad_norm)
    assert np.isnan(after.params["b"])


def test_adam_by_its_own_equations(rng):
    optimizer = optax.scale_by_adam(eps=1e-5)
    params, state = jnp.array([1.0, -2.0, 0.5]), optimizer.init(jnp.zeros(3))
    want, mean, square = np.asarray(params, np.float64), np.zeros(3), np.zeros(3)
    for t in range(1, 6):
        gradient = rng.normal(size=3).astype(np.float32)
        params, state, _ = apply_gradients(optimizer, params, state, jnp.asarray(gradient), learning_rate=0.01 * t)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        want -= 0.01 * t * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-5)
        np.testing.assert_allclose(params, want, rtol=1e-5)


def test_the_optimizer_sees_the_clipped_gradient():
    optimizer = optax.trace(decay=0.5)
    after = apply_gradients(optimizer, PARAMS, optimizer.init(PARAMS), GRADIENTS, learning_rate=1.0, max_grad_norm=1.0)
    np.testing.assert_allclose(after.opt_state.trace["b"], [[-0.8]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_keep_their_dtype(dtype):
    params = jnp.ones(2, dtype)
    after = apply_gradients(
        PLAIN, params, PLAIN.init(params), params, learning_rate=jnp.float32(0.5), max_grad_norm=jnp.float32(9.0)
    )
    assert after.params.dtype == dtype
    np.testing.assert_allclose(after.params.astype(jnp.float32), 0.5)


def test_one_compilation_for_all_learning_rates_and_bounds():
    traces = []

    @jax.jit
    def step(learning_rate, max_grad_norm):
        traces.append(1)
        return _step(learning_rate=learning_rate, max_grad_norm=max_grad_norm).params["a"][0]

    np.testing.assert_allclose([step(0.1, 5.0), step(0.2, 5.0), step(0.1, 1.0)], [0.7, 0.4, 0.94], rtol=1e-6)
    assert len(traces) == 1
    swept = jax.vmap(step, (0, None))(jnp.array([0.1, 0.2]), 5.0)
    np.testing.assert_allclose(swept, [0.7, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("rmsprop", lambda g, v: g / np.sqrt(v + 0.01)),
        ("rmsprop_torch", lambda g, v: g / (np.sqrt(v) + 0.01)),
    ],
)
def test_rmsprop_has_its_epsilon_under_the_root_or_beside_it(name, direction):
    """Two steps of gradients 3 and 0.1 by hand, with ``v <- 0.99 v + 0.01 g^2`` from zero."""
    optimizer = OPTIMIZERS[name](0.01)
    state = optimizer.init(jnp.zeros(()))
    first, state = optimizer.update(jnp.asarray(3.0), state)
    second, _ = optimizer.update(jnp.asarray(0.1), state)
    np.testing.assert_allclose(first, direction(3.0, 0.09), rtol=1e-6)
    np.testing.assert_allclose(second, direction(0.1, 0.99 * 0.09 + 0.01 * 0.01), rtol=1e-6)


def test_adam_has_its_epsilon_beside_the_root():
    """Two steps: ``m = 0.9 m + 0.1 g`` and ``v = 0.999 v + 0.001 g^2``, each divided by one minus its decay's power."""
    optimizer = OPTIMIZERS["adam"](0.01)
    state = optimizer.init(jnp.zeros(()))
    first, state = optimizer.update(jnp.asarray(3.0), state)
    second, _ = optimizer.update(jnp.asarray(0.1), state)
    np.testing.assert_allclose(first, 3.0 / (3.0 + 0.01), rtol=1e-5)
    m, v = (0.9 * 0.3 + 0.1 * 0.1) / (1 - 0.81), (0.999 * 0.009 + 0.001 * 0.01) / (1 - 0.998001)
    np.testing.assert_allclose(second, m / (np.sqrt(v) + 0.01), rtol=1e-4)


def test_weight_decay_adds_the_parameters_to_the_clipped_gradient():
    after = _step(learning_rate=0.1, max_grad_norm=2.5, weight_decay=0.5)
    np.testing.assert_allclose(after.params["a"], [1 - 0.1 * (3 * 0.5 + 0.5), 1 - 0.1 * 0.5], rtol=1e-6)
    np.testing.assert_allclose(after.params["b"], [[10 - 0.1 * (-4 * 0.5 + 5)]], rtol=1e-6)
    np.testing.assert_allclose(after.grad_norm, 5.0, rtol=1e-6)
