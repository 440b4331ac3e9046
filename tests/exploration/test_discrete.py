import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.exploration.discrete import boltzmann, epsilon_greedy, epsilon_ladder, greedy

Q = jnp.array([1.0, 3.0, 2.0, -1.0])
N = 20_000
MANY = jnp.broadcast_to(Q, (N, 4))


def _assert_drawn_from(actions, probabilities):
    """A chi-squared test finds the frequencies to be those probabilities; what is impossible never occurs."""
    counts, probabilities = np.bincount(actions, minlength=4), np.asarray(probabilities, np.float64)
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] / probabilities[possible].sum() * len(actions)
    assert possible.sum() == 1 or stats.chisquare(counts[possible], expected).pvalue > 1e-3


def test_greedy_takes_the_first_of_the_best():
    got = greedy(jnp.array([[1.0, 3.0, 2.0], [5.0, 5.0, 1.0], [-3.0, -2.0, -1.0]]))
    np.testing.assert_array_equal(got, [1, 0, 2])
    assert got.dtype == jnp.int32


def test_epsilon_greedy_draws_as_dqn_always_did(key):
    """The draws of the first release, written out: recorded results depend on them."""
    choice_key, action_key = jax.random.split(key)
    random = jax.random.randint(action_key, (N,), 0, 4)
    want = jnp.where(jax.random.uniform(choice_key, (N,)) < 0.3, random, jnp.argmax(MANY, axis=-1))
    got = jax.jit(epsilon_greedy)(key, MANY, 0.3)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(epsilon_greedy(key, MANY, jnp.float32(0.3)), want)
    assert got.dtype == want.dtype == jnp.int32


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
def test_epsilon_greedys_distribution(key, epsilon):
    random = epsilon / 4
    _assert_drawn_from(epsilon_greedy(key, MANY, epsilon), [random, 1 - epsilon + random, random, random])


def test_each_environment_has_its_own_epsilon(key):
    epsilon = jnp.array([0.0, 1.0, 0.3])
    q = jnp.broadcast_to(Q, (3, 4))
    got = jax.vmap(lambda k: epsilon_greedy(k, q, epsilon))(jax.random.split(key, N))
    for b in range(3):
        random = float(epsilon[b]) / 4
        _assert_drawn_from(got[:, b], [random, 1 - 3 * random, random, random])


def test_environments_explore_apart(key):
    """Neither the choice to explore nor the random action is shared by the batch."""
    q = jnp.broadcast_to(Q, (2, 4))
    first, second = jax.vmap(lambda k: epsilon_greedy(k, q, 1.0))(jax.random.split(key, N)).T
    _assert_drawn_from((second - first) % 4, [0.25] * 4)
    first, second = jax.vmap(lambda k: epsilon_greedy(k, q, 0.5))(jax.random.split(key, N)).T != 1
    np.testing.assert_allclose(np.mean(first & second), 0.375**2, atol=0.02)


def test_epsilon_greedy_under_vmap_is_each_rows_own(key):
    keys, epsilons = jax.random.split(key, 3), jnp.array([0.1, 0.5, 0.9])
    got = jax.vmap(epsilon_greedy, (0, None, 0))(keys, MANY[:64], epsilons)
    for i in range(3):
        np.testing.assert_array_equal(got[i], epsilon_greedy(keys[i], MANY[:64], epsilons[i]))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 10.0])
def test_boltzmanns_distribution(key, temperature):
    weights = np.exp(np.asarray(Q) / temperature)
    got = jax.jit(boltzmann)(key, MANY, temperature)
    _assert_drawn_from(got, weights / weights.sum())
    assert got.dtype == jnp.int32


def test_boltzmann_is_stable_at_a_small_temperature(key):
    # Differences of a temperature or two on a value of 10,000: in units of the temperature it is 10^7.
    weights = np.exp([0.0, 1.0, 2.0, -1.0])
    q = jnp.broadcast_to(10_000 + jnp.array([0.0, 1.0, 2.0, -1.0]) / 512, (N, 4))
    _assert_drawn_from(boltzmann(key, q, 1 / 512), weights / weights.sum())
    np.testing.assert_array_equal(boltzmann(key, MANY[:64], 1e-6), np.ones(64))


def test_each_environment_has_its_own_temperature(key):
    temperature = jnp.array([0.5, 1e-6, 4.0])
    got = jax.vmap(lambda k: boltzmann(k, jnp.broadcast_to(Q, (3, 4)), temperature))(jax.random.split(key, N))
    for b in (0, 2):
        weights = np.exp(np.asarray(Q) / float(temperature[b]))
        _assert_drawn_from(got[:, b], weights / weights.sum())
    np.testing.assert_array_equal(got[:, 1], np.ones(N))


def test_epsilon_ladder_by_hand():
    # Exponents 1, 3, 5 and 1, 1 + 7/2, 8.
    np.testing.assert_allclose(epsilon_ladder(3, 0.5, 4.0), [0.5, 0.125, 0.03125], rtol=1e-6)
    np.testing.assert_allclose(epsilon_ladder(3), [0.4, 0.4**4.5, 0.4**8], rtol=1e-5)
    assert epsilon_ladder(3).dtype == jnp.float32


@pytest.mark.parametrize("num_envs", [2, 8, 256])
def test_epsilon_ladder_is_the_papers(num_envs):
    want = [0.4 ** (1 + i / (num_envs - 1) * 7) for i in range(num_envs)]
    np.testing.assert_allclose(epsilon_ladder(num_envs), want, rtol=1e-5)


def test_epsilon_ladder_of_one_environment_is_its_base():
    np.testing.assert_allclose(epsilon_ladder(1, 0.25), [0.25])


def test_epsilon_ladders_numbers_can_be_traced():
    ladders = jax.jit(jax.vmap(lambda base, alpha: epsilon_ladder(3, base, alpha)))
    got = ladders(jnp.array([0.5, 0.4]), jnp.array([4, 7]))
    np.testing.assert_allclose(got, [epsilon_ladder(3, 0.5, 4.0), epsilon_ladder(3)], rtol=1e-6)


def test_epsilon_ladder_names_what_is_wrong():
    with pytest.raises(ValueError, match="num_envs=0"):
        epsilon_ladder(0)


@pytest.mark.parametrize("explore", [epsilon_greedy, boltzmann])
def test_exploration_does_not_broadcast(key, explore):
    for bad in (jnp.full((3, 1), 0.5), jnp.full((4,), 0.5), jnp.full((1, 3), 0.5)):
        with pytest.raises(AssertionError):
            explore(key, jnp.zeros((3, 4)), bad)


def test_a_random_action_is_an_allowed_one_and_does_not_depend_on_being_random(key):
    # The best action, 1, is allowed everywhere.
    allowed = jnp.tile(jnp.array([[True, True, False, True], [False, True, True, False]]), (2000, 1))
    q = jnp.where(allowed, jnp.array([0.0, 9.0, 0.0, 0.0]), -jnp.inf)
    got = np.asarray(jax.jit(epsilon_greedy)(key, q, 0.6, allowed))
    # Three actions, and two: the best is drawn at random too.
    for row, (actions, epsilon) in enumerate((((0, 1, 3), 0.6), ((1, 2), 0.6))):
        shares = [np.mean(got[row::2] == a) for a in actions]
        want = [epsilon / len(actions) + (1 - epsilon) * (a == 1) for a in actions]
        np.testing.assert_allclose(shares, want, atol=0.045)
        assert sum(shares) == 1
