"""The value-based family: acting with action values, and what an update learns from."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import c51, dqn, iqn, munchausen_dqn, qr_dqn, rainbow
from jaxrl.types import Sample, Spec, Transition

SPEC = Spec("test", spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(4))


@pytest.mark.parametrize("module", [dqn, rainbow], ids=["dqn", "rainbow"])
def test_an_evaluation_takes_the_best_action_but_for_its_own_epsilon(module):
    agent = module.make(SPEC, module.Config(hidden_sizes=(8,)))
    hp = dataclasses.replace(agent.hyperparameters, epsilon=1.0)
    state, x = agent.init(jax.random.key(0), hp), jnp.ones((4_000, 3))
    act = lambda key, hp: np.asarray(agent.act(agent.policy(state), x, (), jax.random.key(key), hp, False)[0])
    best = act(0, hp)
    assert np.all(best == best[0])
    np.testing.assert_array_equal(act(1, hp), best)
    others = np.mean(act(1, hp.replace(evaluation_epsilon=0.4)) != best)
    # A random action is the best one in a quarter of the cases.
    assert abs(others - 0.3) < 0.03


ATOMS = {"num_atoms": 5, "v_min": -2.0, "v_max": 2.0}
SAMPLES = {"policy_samples": 2, "online_samples": 3, "target_samples": 4, "num_cosines": 4}
MEMBERS = {
    "dqn": (dqn, {}),
    "c51": (c51, ATOMS),
    "qr_dqn": (qr_dqn, {"num_quantiles": 3}),
    "iqn": (iqn, SAMPLES),
    "munchausen_dqn": (munchausen_dqn, {}),
    "rainbow": (rainbow, ATOMS),
}
SGD = 1e6
"""Adam's epsilon and rate: together its first step is plain descent, ``params - gradient``."""
FIRST = "['MLP_0']['Dense_0']['kernel']"
"""The first layer's weights: a row for each feature of the observation."""
BIAS = "['QHead_0']['q']['bias']"
members = pytest.mark.parametrize("name", MEMBERS)


@functools.cache
def make(name, **switches):
    """A tiny member of the family, its update, and hyper-parameters that make it plain gradient descent."""
    module, sizes = MEMBERS[name]
    tiny = {
        "hidden_sizes": (4,), "activation": "tanh", "noise": "factorised", "dueling": False, "double_q": False,
        "target_update_period": 3, "adam_epsilon": SGD,
    }  # fmt: skip
    agent = module.make(SPEC, module.Config(**{**tiny, **sizes, **switches}))
    # Compilation is the cost: optimising would double it.
    update = jax.jit(agent.update, compiler_options={"xla_backend_optimization_level": 0})
    return agent, update, agent.hyperparameters.replace(learning_rate=SGD, max_grad_norm=1e9)


def batch_of(rng, n=4, **changes):
    """A batch to learn from, none of whose episodes ends."""
    observation, next_observation = rng.normal(size=(2, n, 3)).astype(np.float32)
    fields = {
        "observation": observation,
        "action": rng.integers(0, 4, n).astype(np.int32),
        "reward": rng.normal(size=n).astype(np.float32),
        "terminated": np.zeros(n, bool),
        "truncated": np.zeros(n, bool),
        "next_observation": next_observation,
    }
    return Sample(Transition(**{**fields, **changes}), np.arange(n), np.ones(n, np.float32), np.ones(n, np.int32))


def two_networks(agent, hp, key):
    """A state whose target is not a copy of the online network."""
    state, other = agent.init(key, hp), agent.init(jax.random.fold_in(key, 1), hp)
    return state._replace(target_params=other.params)


def where(tree, name, change):
    """The tree, with those leaves changed that have the name in their path."""
    return jax.tree.map_with_path(lambda path, x: change(x) if name in jax.tree_util.keystr(path) else x, tree)


def leaf(tree, name):
    """The one leaf that has the name in its path."""
    (found,) = (x for path, x in jax.tree.leaves_with_path(tree) if name in jax.tree_util.keystr(path))
    return np.asarray(found)


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


# --- Targets

# Only successors have feature 1: they alone are valued by row 1 of a network's first layer.
APART = {"observation": np.eye(3, dtype=np.float32)[[0] * 4], "next_observation": np.eye(3, dtype=np.float32)[[1] * 4]}


@members
def test_the_target_network_alone_values_the_successors(name, rng, key):
    agent, update, hp = make(name)
    state = two_networks(agent, hp, key)
    move = lambda params: where(params, FIRST, lambda x: x.at[1].add(1.0))
    target_moved = state._replace(target_params=move(state.target_params))
    online_moved = state._replace(params=move(state.params))
    batch, ended = batch_of(rng, **APART), batch_of(rng, **APART, terminated=np.ones(4, bool))
    loss = lambda state, batch: float(update(state, batch, key, hp)[1].metrics["loss"])
    assert abs(loss(target_moved, batch) - loss(state, batch)) > 1e-3
    assert loss(online_moved, batch) == loss(state, batch)
    # A sum of probabilities is 1 to a rounding.
    np.testing.assert_allclose(loss(target_moved, ended), loss(state, ended), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "double_q"), [(name, d) for name in MEMBERS for d in (False, True) if not d or name != "munchausen_dqn"]
)
def test_no_gradient_flows_through_the_target(name, double_q, rng, key):
    agent, update, hp = make(name, double_q=double_q)
    state = two_networks(agent, hp, key)
    new, _ = update(state, batch_of(rng, **APART), key, hp)
    moved = leaf(new.params, FIRST) - leaf(state.params, FIRST)
    assert np.any(np.abs(moved[0]) > 1e-3)
    assert not np.any(moved[1:])
    np.testing.assert_array_equal(flat(new.target_params), flat(state.target_params))


def constant(params, bias):
    """A network whose head gives the same numbers for every observation, without noise."""
    return where(where(params, "QHead", jnp.zeros_like), BIAS, lambda x: jnp.asarray(bias, x.dtype).reshape(x.shape))


# Of actions 0 to 3; the online network prefers 1, which the target network values at 2, and the target prefers 0.
ONLINE, TARGET = np.array([1.0, 3.0, 0.0, 0.0]), np.array([10.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize(("double_q", "target"), [(False, 1 + 0.5 * 10), (True, 1 + 0.5 * 2)])
@pytest.mark.parametrize("name", ["dqn", "qr_dqn", "iqn"])
def test_double_q_values_the_action_that_the_online_network_prefers(name, double_q, target, rng, key):
    agent, update, hp = make(name, double_q=double_q)
    state, outputs = agent.init(key, hp), 3 if name == "qr_dqn" else 1
    params, target_params = (constant(state.params, np.repeat(q, outputs)) for q in (ONLINE, TARGET))
    ended = np.array([False, True])
    batch = batch_of(rng, n=2, reward=np.ones(2, np.float32), action=np.array([0, 1]), terminated=ended)
    state = state._replace(params=params, target_params=target_params)
    new, info = update(state, batch, key, hp.replace(discount=0.5))
    np.testing.assert_allclose(info.priorities, [target - 1, 3 - 1], rtol=1e-6)
    if name == "dqn":
        # Huber: a slope of 1 from an error of 1 on, half of it for each of two samples.
        np.testing.assert_allclose(info.metrics["loss"], (target - 1 - 0.5 + 2 - 0.5) / 2, rtol=1e-6)
        np.testing.assert_allclose(leaf(new.params, BIAS), [1 + 0.5, 3 - 0.5, 0, 0], rtol=1e-5)


@pytest.mark.parametrize(("double_q", "atoms"), [(False, [0, 0, 0, 1, 0]), (True, [0, 0, 0.5, 0.5, 0])])
@pytest.mark.parametrize("name", ["c51", "rainbow"])
def test_double_q_in_a_distribution(name, double_q, atoms, rng, key):
    # Atoms are -2 to 2. The target surely has 2 of action 0 and 1 of action 1; the online network prefers action 1.
    agent, update, hp = make(name, double_q=double_q)
    state, surely = agent.init(key, hp), lambda values: 100.0 * np.eye(5)[np.array(values) + 2]
    taken = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    params = constant(state.params, np.concatenate([[np.log(taken)], surely([2, 0, 0])]))
    state = state._replace(params=params, target_params=constant(state.params, surely([2, 1, 0, 0])))
    batch = batch_of(rng, n=1, reward=np.zeros(1, np.float32), action=np.zeros(1, np.int32))
    _, info = update(state, batch, key, hp.replace(discount=0.5))
    np.testing.assert_allclose(info.metrics["loss"], -np.sum(atoms * np.log(taken)), rtol=1e-5)


@members
def test_the_target_is_copied_exactly_at_every_third_update(name, rng, key):
    agent, update, hp = make(name)
    hp, state = hp.replace(learning_rate=0.01 * SGD), agent.init(key, hp)
    copy = flat(state.params)
    for i in range(1, 8):
        state, _ = update(state, batch_of(rng), jax.random.fold_in(key, i), hp)
        if i in (3, 6):
            copy = flat(state.params)
        else:
            assert np.any(flat(state.params) != copy)
        np.testing.assert_array_equal(flat(state.target_params), copy)


def test_a_polyak_target_moves_by_tau_at_every_update(rng, key):
    agent, update, hp = make("dqn", target_update="polyak", target_update_period=1)
    hp, state = hp.replace(tau=0.25), agent.init(key, hp)
    want = flat(state.params)
    for i in range(3):
        state, _ = update(state, batch_of(rng), jax.random.fold_in(key, i), hp)
        want = 0.75 * want + 0.25 * flat(state.params)
        np.testing.assert_allclose(flat(state.target_params), want, rtol=1e-5, atol=1e-7)
    assert np.any(np.abs(want - flat(state.params)) > 1e-3)


# --- Weights


@members
def test_a_weight_multiplies_its_samples_part_of_the_gradient(name, rng, key):
    agent, update, hp = make(name)
    state, batch = two_networks(agent, hp, key), batch_of(rng)

    def step(*weights):
        new, info = update(state, batch._replace(weights=np.array(weights, np.float32)), key, hp)
        return flat(new.params) - flat(state.params), info

    (even, info), (doubled, other) = step(1, 1, 1, 1), step(1, 2, 1, 1)
    alone, _ = step(0, 1, 0, 0)
    assert np.max(np.abs(alone)) > 1e-2 and np.max(np.abs(even - alone)) > 1e-2
    np.testing.assert_allclose(doubled - even, alone, atol=2e-6)
    np.testing.assert_allclose(step(0, 0, 0, 4)[0], 4 * step(0, 0, 0, 1)[0], atol=4e-6)
    np.testing.assert_array_equal(other.priorities, info.priorities)


# --- Randomness


@pytest.mark.parametrize(
    ("name", "noise"), [(name, "factorised") for name in MEMBERS if name != "iqn"] + [("dqn", "independent")]
)
def test_noise_is_each_environments_own_and_each_updates_and_off_in_evaluation(name, noise, rng, key):
    agent, update, hp = make(name, noise=noise)
    noisy, quiet = (
        where(two_networks(agent, hp, key), "sigma", lambda s, to=to: jnp.full_like(s, to)) for to in (3.0, 0.0)
    )
    x = jnp.ones((32, 3))
    both = jax.jit(lambda params, key: [agent.act(params, x, (), key, hp, explore)[0] for explore in (True, False)])
    explored, evaluated = both(noisy.params, key)
    explored_again, evaluated_again = both(noisy.params, jax.random.key(1))
    assert len(np.unique(explored)) > 1
    assert np.any(explored_again != explored)
    assert len(np.unique(evaluated)) == 1
    for other in (evaluated_again, *both(quiet.params, key)):
        np.testing.assert_array_equal(other, evaluated)

    batch = batch_of(rng)
    loss = lambda state, seed: float(update(state, batch, jax.random.key(seed), hp)[1].metrics["loss"])
    assert loss(noisy, 0) == loss(noisy, 0) != loss(noisy, 1)
    assert loss(quiet, 0) == loss(quiet, 1)


@pytest.mark.parametrize("double_q", [False, True])
def test_iqn_draws_as_many_quantiles_as_each_of_its_networks_is_to(double_q, rng, key, monkeypatch):
    agent, _, hp = make.__wrapped__("iqn", double_q=double_q)  # not one that was traced before
    state, batch = two_networks(agent, hp, key), batch_of(rng)
    now, after = batch.transitions.observation, batch.transitions.next_observation
    apply, whose, calls = iqn.ImplicitQuantileNetwork.apply, [], []

    def spy(self, params, x, taus, noise=None, allowed=None):
        whose.append("target" if params is state.target_params else "online")
        calls.append((x, taus, noise))
        return apply(self, params, x, taus, noise, allowed)

    def run(params):
        agent.update(state._replace(params=params), batch, key, hp)
        for explore in (True, False):
            agent.act(params, now, (), key, hp, explore)
        return calls

    monkeypatch.setattr(iqn.ImplicitQuantileNetwork, "apply", spy)
    *update, (_, acting, acting_noise), (_, evaluating, no_noise) = jax.jit(run)(state.params)
    when = lambda x: "next" if np.all(x == after) else "now"
    k, n, n_prime = SAMPLES["policy_samples"], SAMPLES["online_samples"], SAMPLES["target_samples"]
    assert {(who, when(x), taus.shape) for who, (x, taus, _) in zip(whose, update, strict=False)} == {
        ("online" if double_q else "target", "next", (4, k)),
        ("target", "next", (4, n_prime)),
        ("online", "now", (4, n)),
    }
    # Every quantile is a draw of its own, and so is the noise of each network, which all rows of an update share.
    assert len(np.unique(np.concatenate([np.ravel(taus) for _, taus, _ in update]))) == 4 * (k + n + n_prime)
    assert len({tuple(jax.random.key_data(noise.key).tolist()) for *_, noise in update}) == 3
    assert not any(noise.per_row for *_, noise in update)

    assert acting.shape == (4, k) and len(np.unique(acting)) == 4 * k and acting_noise.per_row
    np.testing.assert_allclose(evaluating, [[0.25, 0.75]] * 4)
    assert no_noise is None


def test_the_smallest_priority_is_the_configurations():
    feed = dqn.make(SPEC, dqn.Config(prioritized=True, buffer_size=4, prefill=4, priority_epsilon=0.25)).feed
    hp = dqn.Hyperparameters(priority_exponent=1.0, importance_exponent=1.0)
    observation = jnp.zeros((1, 3))
    step = Transition(observation, jnp.zeros(1, int), jnp.zeros(1), jnp.zeros(1, bool), jnp.zeros(1, bool), observation)
    state = feed.buffer.add(feed.buffer.add(feed.buffer.init(), step), step)
    state = feed.buffer.set_priorities(state, jnp.array([0, 1]), jnp.array([0.0, 0.75]), hp)
    indices = feed.buffer.sample(state, jax.random.key(0), 400, hp).indices
    assert np.mean(indices == 0) == 0.25  # stratified
    with pytest.raises(ValueError, match="priority_epsilon=0.0: must be positive"):
        dqn.Config(priority_epsilon=0.0)
