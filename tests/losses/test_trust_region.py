import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.losses.trust_region import backtrack, conjugate_gradient, fisher_vector_product, natural_step
from jaxrl.networks.distributions import Categorical, DiagonalGaussian


def positive_definite(rng, n):
    a = rng.normal(size=(n, n))
    return (a @ a.T + n * np.eye(n)).astype(np.float32)


def test_conjugate_gradients_against_a_direct_solve(rng):
    matrix, b = positive_definite(rng, 12), rng.normal(size=12).astype(np.float32)
    x = jax.jit(lambda b: conjugate_gradient(lambda v: matrix @ v, b, 12))(b)
    np.testing.assert_allclose(x, np.linalg.solve(matrix.astype(np.float64), b), rtol=1e-3, atol=1e-5)


def test_conjugate_gradients_stop_at_the_solution(rng):
    matrix, b = positive_definite(rng, 4), rng.normal(size=4).astype(np.float32)
    x = conjugate_gradient(lambda v: matrix @ v, b, 100)
    assert np.all(np.isfinite(x))
    np.testing.assert_allclose(x, np.linalg.solve(matrix.astype(np.float64), b), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(conjugate_gradient(lambda v: matrix @ v, 0 * b, 5), 0 * b)


@pytest.mark.parametrize("kind", ["categorical", "masked", "gaussian"])
def test_products_against_the_dense_fisher_matrix(rng, kind):
    x = rng.normal(size=(20, 3)).astype(np.float32)
    mask = jnp.asarray(rng.random((20, 4)) < 0.6).at[:, 0].set(True)

    def policy(params):
        y = jnp.tanh(x @ params[:12].reshape(3, 4))
        if kind == "gaussian":
            return DiagonalGaussian(y[:, :2], jnp.broadcast_to(params[12:14], (20, 2)))
        return Categorical(jnp.where(mask, y, -jnp.inf) if kind == "masked" else y)

    params, vector = rng.normal(size=(2, 14)).astype(np.float32)
    old = policy(params)
    kl = lambda p: jnp.mean(old.kl_divergence(policy(p)))
    got = jax.jit(lambda v: fisher_vector_product(kl, params, v))(vector)

    # The definition: F = E[g g^T] with g = grad log pi(a|s), in closed form over actions or by quadrature.
    if kind == "gaussian":
        # For each state F = J^T diag(1 / sigma^2) J over the means, and 2 for each logarithm of a deviation.
        jacobian = jax.jacobian(lambda p: policy(p).mean)(params)
        std = np.exp(params[12:14])
        fisher = np.einsum("bik,bil,i->kl", jacobian, jacobian, 1 / std**2) / 20
        fisher[12:14, 12:14] += 2 * np.eye(2)
    else:
        log_probs = lambda p: jax.nn.log_softmax(policy(p).logits)
        scores = np.nan_to_num(np.asarray(jax.jacobian(log_probs)(params)))
        probs = np.exp(np.asarray(log_probs(params)))
        fisher = np.einsum("ba,bak,bal->kl", probs, scores, scores) / 20
    np.testing.assert_allclose(got, fisher @ vector, rtol=1e-3, atol=1e-5)


def test_the_natural_step_has_the_divergence_it_may_have(rng):
    matrix, gradient = positive_definite(rng, 6), rng.normal(size=6).astype(np.float32)
    step = natural_step(lambda v: matrix @ v, gradient, 0.01, 20)
    np.testing.assert_allclose(0.5 * step @ matrix @ step, 0.01, rtol=1e-3)
    direct = np.linalg.solve(matrix.astype(np.float64), gradient)
    np.testing.assert_allclose(step / np.linalg.norm(step), direct / np.linalg.norm(direct), rtol=1e-3, atol=1e-4)


def test_backtracking_takes_the_first_step_that_will_do():
    params, step = jnp.zeros(2), jnp.array([-1.0, 0.0])
    search = jax.jit(lambda limit: backtrack(lambda p: p[0] <= limit, params, step, 0.5, 10))(0.3)
    np.testing.assert_allclose(search.params, [0.25, 0.0])
    assert search.accepted
    assert search.fraction == 0.25


def test_the_old_parameters_are_kept_if_no_step_will_do():
    params = jnp.array([0.7, -0.2])
    search = backtrack(lambda p: jnp.array(False), params, jnp.ones(2), 0.5, 4)
    np.testing.assert_array_equal(search.params, params)
    assert not search.accepted
    assert search.fraction == 0


def test_so_many_steps_are_tried_and_no_more():
    # Of 1, 1/2, 1/4 and 1/8 none will do, 1/16 would.
    search = jax.jit(lambda n: backtrack(lambda p: p[0] <= 0.07, jnp.zeros(1), -jnp.ones(1), 0.5, n))
    assert not search(4).accepted and search(4).params == 0
    assert search(5).accepted and search(5).fraction == 1 / 16
