"""Observations of several parts, in every algorithm: images beside features, masks, and what only a critic is shown."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import algorithms, training
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import dqn, iqn, pqn, sac, sac_discrete
from jaxrl.envs import toys
from jaxrl.schedules import resolve
from jaxrl.training.collect import at_random
from jaxrl.types import OffPolicy, Rollout, Sample, Spec, Transition

A = 5
VECTOR = spaces.Box(-1, 1, (3,), np.float32)
PARTS = {
    "auxiliary": spaces.Box(-9, 9, (1,), np.float32),
    "image": spaces.Box(0, 255, (12, 12, 2), np.uint8),
    "privileged": spaces.Box(-9, 9, (2,), np.float32),
    "vector": VECTOR,
}
CONTINUOUS = Spec("parts", spaces.Dict(PARTS), spaces.Box(-1, 1, (2,), np.float32))
DISCRETE = Spec("parts", spaces.Dict(PARTS | {"action_mask": spaces.MultiBinary(A)}), spaces.Discrete(A))
MASKED = Spec("masked", spaces.Dict(action_mask=spaces.MultiBinary(A), vector=VECTOR), spaces.Discrete(A))
VALUE_BASED = ("dqn", "c51", "qr_dqn", "iqn", "rainbow", "munchausen_dqn")
SMALL = {"hidden_sizes": (8,), "batch_size": 16, "buffer_size": 64, "prefill": 16}


def transitions(spec, shape, rng):
    """Random ones, none of them at an end; all actions are allowed."""

    def observation():
        x = jax_spaces.sample(spec.observation_space, jax.random.key(rng.integers(1_000)), shape)
        return x | {"action_mask": jnp.ones((*shape, A), jnp.int8)} if "action_mask" in x else x

    action = jax_spaces.sample(spec.action_space, jax.random.key(1), shape)
    never = jnp.zeros(shape, bool)
    reward = jnp.asarray(rng.normal(size=shape), jnp.float32)
    return Transition(observation(), action, reward, never, never, observation())


def sample(spec, rng, n=16):
    return Sample(transitions(spec, (n,), rng), jnp.arange(n), jnp.ones(n), jnp.ones(n, jnp.int32))


@pytest.mark.parametrize("name", algorithms.ALGORITHMS)
def test_all_of_them_can_be_together(name, rng):
    module = algorithms.get(name)
    off_policy = name in ("ddpg", "td3", "sac", "tqc", "redq", "droq", "crossq", "sac_discrete")
    config = module.Config(normalize_observation=True) if off_policy else module.Config()
    agent = module.make(DISCRETE if name in (*VALUE_BASED, "pqn", "sac_discrete") else CONTINUOUS, config)
    key, hp = jax.random.key(0), resolve(agent.hyperparameters, 0.0, 0.0)

    def step():
        state = agent.init(key, hp)
        n = agent.feed.num_envs
        steps = transitions(agent.spec, (n,), rng)
        carry = agent.initial_carry(n)
        action, carry, extras = agent.act(agent.policy(state), steps.observation, carry, key, hp, True)
        if isinstance(agent.feed, OffPolicy):
            if agent.observe is not None:
                state = agent.observe(state, steps, None, hp)
            state, _ = agent.update(state, sample(agent.spec, rng), key, hp)
        else:
            rollout = transitions(agent.spec, (agent.feed.rollout_length, n), rng)._replace(
                action=jnp.broadcast_to(action, (agent.feed.rollout_length, *action.shape))
            )
            extras = jax.tree.map(lambda x: jnp.broadcast_to(x, (agent.feed.rollout_length, *x.shape)), extras)
            state, _ = agent.update(state, Rollout(rollout, extras, carry), key, hp)
        return action, agent.value(state, steps.observation)

    action, value = jax.eval_shape(step)
    assert value.shape == (agent.feed.num_envs,)
    assert action.shape == (agent.feed.num_envs, *agent.spec.action_space.shape)


@pytest.mark.parametrize(
    ("name", "exploration"),
    [
        *((name, {}) for name in (*VALUE_BASED, "pqn", "sac_discrete") if name != "rainbow"),
        ("rainbow", {"exploration": "epsilon_greedy"}),
        # One member of the family shows these.
        ("dqn", {"exploration": "boltzmann"}),
        ("dqn", {"exploration": "epsilon_ladder"}),
    ],
)
def test_no_forbidden_action_is_taken(name, exploration, rng):
    module = algorithms.get(name)
    agent = module.make(MASKED, module.Config(num_envs=400, hidden_sizes=(8,), **exploration))
    allowed = rng.uniform(size=(400, A)) < 0.4
    allowed[np.arange(400), rng.integers(A, size=400)] = True
    observation = {"action_mask": jnp.asarray(allowed, jnp.int8), "vector": jnp.zeros((400, 3))}
    state = agent.init(jax.random.key(0), agent.hyperparameters)

    @functools.partial(jax.jit, static_argnames="explore")
    def act(epsilon, explore):
        """Fifty times ``[50, 400]``."""
        hp = dataclasses.replace(agent.hyperparameters, epsilon=epsilon)
        one = lambda key: agent.act(agent.policy(state), observation, (), key, hp, explore)[0]
        return jax.vmap(one)(jax.random.split(jax.random.key(2), 50))

    for epsilon in (0.0, 1.0):
        for explore in (True, False):
            action = np.asarray(act(epsilon, explore))
            assert allowed[np.arange(400), action].all()
            if explore and epsilon == 1.0 and exploration in ({}, {"exploration": "epsilon_greedy"}):
                # Each that is allowed is as likely as the others.
                chance = np.eye(A)[action].mean(axis=0)
                expected = allowed / allowed.sum(axis=1, keepdims=True)
                assert np.abs(chance - expected).max() < 0.35
                np.testing.assert_allclose(chance.mean(axis=0), expected.mean(axis=0), atol=0.02)


def test_a_random_policy_takes_what_is_allowed():
    agent = dqn.make(MASKED, dqn.Config(num_envs=2))
    mask = jnp.array([[0, 1, 0, 1, 0], [0, 0, 0, 0, 1]])
    choose = at_random(agent)
    observation = {"action_mask": mask, "vector": jnp.zeros((2, 3))}
    actions = {tuple(np.asarray(choose(observation, (), jax.random.key(i))[0])) for i in range(20)}
    assert actions == {(1, 4), (3, 4)}


def with_next_mask(batch, mask):
    t = batch.transitions
    mask = jnp.broadcast_to(jnp.asarray(mask, jnp.int8), t.next_observation["action_mask"].shape)
    return batch._replace(transitions=t._replace(next_observation={**t.next_observation, "action_mask": mask}))


def only(action):
    return jax.nn.one_hot(action, A, dtype=jnp.int8)


@pytest.mark.parametrize("switches", [{}, {"double_q": False}], ids=["double", "single"])
@pytest.mark.parametrize("name", ["dqn", "munchausen_dqn"])
def test_a_target_is_of_what_is_allowed(name, switches, rng):
    """With a single action allowed at both ends, both members' target is ``r + gamma Q(s', that one)``."""
    module = algorithms.get(name)
    agent = module.make(MASKED, module.Config(**SMALL, **switches, loss="mse"))
    hp = dataclasses.replace(agent.hyperparameters, discount=0.9)
    state, batch = agent.init(jax.random.key(0), hp), sample(MASKED, rng)
    t = batch.transitions
    t = t._replace(observation={**t.observation, "action_mask": only(t.action)})
    batch = with_next_mask(batch._replace(transitions=t), only(jnp.arange(16) % A))
    after = batch.transitions.next_observation
    # The value of an observation whose mask allows one action is that action's.
    error = agent.value(state, t.observation) - (t.reward + 0.9 * agent.value(state, after))
    loss = agent.update(state, batch, jax.random.key(1), hp)[1].metrics["loss"]
    np.testing.assert_allclose(loss, jnp.mean(0.5 * error**2), rtol=1e-5)


@pytest.mark.parametrize("name", ["dqn", "c51", "qr_dqn", "rainbow"])
def test_the_best_of_what_is_allowed_is_bootstrapped_from(name, rng):
    module = algorithms.get(name)
    # A dueling network values an action by comparison with the allowed ones, so that the mask changes its value.
    plain = {"noise": "none", "dueling": False} if name == "rainbow" else {}
    agent = module.make(MASKED, module.Config(**SMALL, **plain))
    hp = resolve(agent.hyperparameters, 0.0, 0.0)
    state, batch = agent.init(jax.random.key(0), hp), sample(MASKED, rng)
    best = agent.act(agent.policy(state), batch.transitions.next_observation, (), jax.random.key(0), hp, False)[0]
    loss = lambda mask: agent.update(state, with_next_mask(batch, mask), jax.random.key(1), hp)[1].metrics["loss"]
    everything = loss(jnp.ones(A))
    np.testing.assert_allclose(loss(only(best)), everything, rtol=1e-6)
    assert abs(loss(1 - only(best)) - everything) > 1e-6


@pytest.mark.parametrize("name", [name for name in VALUE_BASED if name != "rainbow"])
def test_forbidden_actions_do_not_count_in_a_dueling_network(name, rng):
    """With one action allowed its value is that of the state, whatever the stream of advantages says."""
    module = algorithms.get(name)
    agent = module.make(MASKED, module.Config(**SMALL, dueling=True))
    state = jax.jit(agent.init)(jax.random.key(0), agent.hyperparameters)
    observation = {**transitions(MASKED, (A,), rng).observation, "action_mask": jnp.eye(A, dtype=jnp.int8)}
    moved = jax.tree.map_with_path(
        lambda path, x: 3.0 + 2.0 * x if "advantage" in jax.tree_util.keystr(path) else x, state.params
    )
    value = jax.jit(lambda params: agent.value(state._replace(params=params), observation))
    np.testing.assert_allclose(value(moved), value(state.params), rtol=1e-5, atol=1e-6)


def test_a_policy_of_one_action_has_no_entropy(rng):
    config = sac_discrete.Config(**SMALL, learn_temperature=False)
    agent = sac_discrete.make(MASKED, config)
    state = agent.init(jax.random.key(0), agent.hyperparameters)
    losses = []
    for temperature in (0.1, 5.0):
        hp = dataclasses.replace(agent.hyperparameters, temperature=temperature)
        batch = with_next_mask(sample(MASKED, np.random.default_rng(0)), only(jnp.arange(16) % A))
        after, info = agent.update(state, batch, jax.random.key(1), hp)
        losses.append(info.metrics["loss"])
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(after))
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert losses[0] > 0


@pytest.mark.parametrize("module", [dqn, iqn, pqn, sac_discrete], ids=lambda m: m.__name__.rpartition(".")[2])
def test_entries_that_are_not_for_an_actor_change_nothing(module, rng):
    agent = module.make(DISCRETE, module.Config(num_envs=4, hidden_sizes=(8,)))
    hp = agent.hyperparameters
    state = agent.init(jax.random.key(0), hp)
    seen = transitions(DISCRETE, (4,), rng).observation
    act = lambda observation: agent.act(agent.policy(state), observation, (), jax.random.key(0), hp, False)[0]
    other = {**seen, "privileged": 7 + seen["privileged"], "auxiliary": 3 + seen["auxiliary"]}
    np.testing.assert_array_equal(act(seen), act(other))


def test_a_critic_sees_more_than_the_actor():
    space = spaces.Dict(privileged=spaces.Box(-9, 9, (2,)), vector=VECTOR)
    agent = sac.make(dataclasses.replace(CONTINUOUS, observation_space=space), sac.Config(hidden_sizes=(8,)))
    state = jax.eval_shape(agent.init, jax.random.key(0), agent.hyperparameters)
    kernels = lambda learner: [x.shape for x in jax.tree.leaves(learner.variables.params) if x.ndim > 1]
    assert kernels(state.actor)[0][0] == 3
    assert any(shape[-2] == 3 + 2 + 2 for shape in kernels(state.critic))


@pytest.mark.learning
@pytest.mark.parametrize("name", ["dqn", "sac_discrete"])
def test_masked_actions_are_learned(name):
    env = toys.forbidden()
    module = algorithms.get(name)
    agent = module.make(env.spec, module.Config(num_envs=8, hidden_sizes=(16,), batch_size=32, prefill=256))
    hp = agent.hyperparameters
    if name == "sac_discrete":
        hp = dataclasses.replace(hp, target_entropy=0.1, actor_learning_rate=1e-3, critic_learning_rate=1e-3)
    train = training.make_train(agent, env, 16_000, num_intervals=1, eval_episodes=128)
    assert float(jax.jit(train)(jax.random.key(0), hp).evaluation.mean_return) >= 0.95
