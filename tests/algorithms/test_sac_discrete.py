"""Discrete SAC where a mask forbids actions: an update by hand, and the temperature."""

import by_hand
import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import sac_discrete
from jaxrl.losses.actor_critic import temperature_loss
from jaxrl.types import Sample, Spec, Transition

ACTIONS, ROWS = 10, 16
SPACE = spaces.Dict(action_mask=spaces.MultiBinary(ACTIONS), vector=spaces.Box(-1, 1, (2,), np.float32))
SPEC = Spec("masked", SPACE, spaces.Discrete(ACTIONS))
SMALL = {"hidden_sizes": (4,), "batch_size": ROWS, "buffer_size": ROWS, "prefill": ROWS}
AGENT = sac_discrete.make(SPEC, sac_discrete.Config(**SMALL))
HP = AGENT.hyperparameters.replace(
    temperature_learning_rate=0.02, actor_learning_rate=0.02, critic_learning_rate=0.02, tau=0.05
)


def batch_of(rng, counts):
    """Transitions at states that allow these numbers of actions, the first ones; the action taken is among them."""
    counts = np.broadcast_to(counts, ROWS)
    mask = (np.arange(ACTIONS) < counts[:, None]).astype(np.int8)
    observe = lambda: {"action_mask": mask, "vector": rng.uniform(-1, 1, (ROWS, 2)).astype(np.float32)}
    action = (rng.integers(0, 99, ROWS) % counts).astype(np.int32)
    never, reward = np.zeros(ROWS, bool), action.astype(np.float32)
    transitions = Transition(observe(), action, reward, never, never, observe())
    return Sample(transitions, np.arange(ROWS), np.ones(ROWS, np.float32), np.ones(ROWS, np.int32))


@pytest.fixture(scope="module")
def many_updates():
    """``many_updates(batch, hp)``: temperature and entropy after each of 300 updates on one batch."""

    def run(batch, hp):
        def step(state, key):
            state, info = AGENT.update(state, batch, key, hp)
            return state, (info.metrics["temperature"], info.metrics["entropy"])

        keys = jax.random.split(jax.random.key(1), 300)
        return jax.lax.scan(step, AGENT.init(jax.random.key(0), hp), keys)[1]

    return jax.jit(run)


def test_an_update_by_hand(rng):
    """Expectations over the allowed actions, gamma^k of each row, both kinds of end, and what is differentiated."""
    config = sac_discrete.Config(**SMALL, activation="identity", adam_epsilon=by_hand.SGD)
    agent = sac_discrete.make(SPEC, config)
    alpha, discount, share = 0.4, by_hand.DISCOUNT, 0.7
    rates = dict.fromkeys(("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate"), by_hand.SGD)
    hp = agent.hyperparameters.replace(**rates, discount=discount, temperature=alpha, target_entropy=share, tau=0.25)
    state = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0))
    state = state._replace(targets=jax.tree.map(lambda x: 0.3 - x, state.targets))
    counts, rows = np.arange(ROWS) % ACTIONS + 1, np.arange(ROWS)
    steps, terminated, truncated = rows % 3 + 1, rows % 4 == 1, rows % 5 == 2
    batch = batch_of(rng, counts)
    t = batch.transitions._replace(terminated=terminated, truncated=truncated)
    batch = batch._replace(transitions=t, steps=steps.astype(np.int32), weights=rng.uniform(1, 2, ROWS))
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    def policy(x):
        logits, hidden = linear.actor(state.actor.variables, x["vector"])
        p = np.where(x["action_mask"], np.exp(logits), 0)
        p /= p.sum(1, keepdims=True)
        return p, np.log(np.where(p > 0, p, 1)), hidden

    def values(variables, x):
        return linear.critic(variables, x["vector"], np.zeros((ROWS, 0)))

    p, log_p, _ = policy(t.next_observation)
    slow = values(state.targets["critic"], t.next_observation).output.min(0)
    soft = np.sum(p * (slow - alpha * log_p), axis=1)
    q, hidden = values(state.critic.variables, t.observation)
    error = q[:, rows, t.action] - (t.reward + discount**steps * ~terminated * soft)
    np.testing.assert_allclose(info.priorities, np.abs(error).mean(0), rtol=1e-3, atol=1e-5)
    slope = (batch.weights * error / ROWS)[..., None] * np.eye(ACTIONS)[t.action]
    learners = (linear.members(s.critic.variables) for s in (new, state))
    for after, before, h, s in zip(*learners, hidden, slope, strict=True):
        linear.assert_layer_moved(after["Dense_0"], before["Dense_0"], h, s)

    p, log_p, hidden = policy(t.observation)
    cost = alpha * log_p - values(new.critic.variables, t.observation).output.min(0)
    linear.assert_actor_descended(new, state, hidden, p * (cost - np.sum(p * cost, axis=1, keepdims=True)) / ROWS)
    gap = np.mean(np.sum(p * log_p, axis=1) + share * np.log(counts))
    np.testing.assert_allclose(new.temperature.variables.params - np.log(alpha), alpha * gap, rtol=1e-3, atol=1e-6)


def test_the_target_entropy_is_of_the_actions_that_each_state_allows():
    mask = jnp.arange(ACTIONS) < jnp.array([10, 3, 1])[:, None]
    np.testing.assert_allclose(sac_discrete.greatest_entropy(ACTIONS, mask), np.log([10, 3, 1]), rtol=1e-6)
    assert sac_discrete.greatest_entropy(ACTIONS) == np.log(10)
    # Entropies 1, 1 and 0 at targets 2, 0.5 and 0: the slope in log(alpha) is alpha (H - target), row by row.
    entropy, target = jnp.array([1.0, 1.0, 0.0]), jnp.array([2.0, 0.5, 0.0])
    slope = jax.vmap(jax.grad(temperature_loss), (None, 0, 0))(jnp.log(0.5), -entropy, target)
    np.testing.assert_allclose(slope, [-0.5, 0.25, 0.0], rtol=1e-6)


def test_the_temperature_is_bounded_where_three_of_ten_actions_are_allowed(rng, many_updates):
    """A target of 0.89 log(10) = 2.05 is above log(3) = 1.10, which no policy over three actions can exceed."""
    temperature, entropy = many_updates(batch_of(rng, 3), HP)
    assert temperature.max() < 2.0
    np.testing.assert_allclose(entropy[-100:].mean(), 0.89 * np.log(3), atol=0.1)


def test_a_state_with_one_action_does_not_move_the_temperature(rng, many_updates):
    temperature, entropy = many_updates(batch_of(rng, 1), HP)
    np.testing.assert_array_equal(temperature, 1.0)
    np.testing.assert_array_equal(entropy, 0.0)


def test_the_first_step_goes_to_the_mean_of_the_targets(rng, many_updates):
    """A policy that is uniform over 10 or 2 actions is above a target of 0.89, and below one of 1.1, of its entropy."""
    batch = batch_of(rng, np.where(np.arange(ROWS) < 8, 10, 2))
    for share, rises in ((0.89, False), (1.1, True)):
        temperature, entropy = many_updates(batch, HP.replace(target_entropy=share, actor_learning_rate=1e-9))
        assert abs(entropy[0] - (np.log(10) + np.log(2)) / 2) < 0.3
        np.testing.assert_allclose(temperature[0], np.exp(0.02 if rises else -0.02), rtol=1e-3)


def test_a_temperature_stays_below_its_bound(rng, many_updates):
    """An unreachable target entropy drives it up: to the bound, and no further."""
    hp = HP.replace(target_entropy=5.0, max_temperature=1.5)
    temperature, _ = many_updates(batch_of(rng, 3), hp)
    assert temperature.max() == temperature[-1]
    np.testing.assert_allclose(temperature[-1], 1.5, rtol=1e-6)
    assert many_updates(batch_of(rng, 3), hp.replace(max_temperature=None))[0][-1] > 100
