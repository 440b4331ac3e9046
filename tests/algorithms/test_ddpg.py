"""DDPG's update by hand: target actor and target critic, no noise in either, and what is differentiated."""

import by_hand
import jax
import linear
import numpy as np
from by_hand import DISCOUNT, ROWS, TERMINATED, TRUNCATED

from jaxrl.algorithms import ddpg

KEY = jax.random.key(7)


def test_an_update_by_hand():
    _, hp, state, update = linear.make(ddpg)
    batch = linear.sample()
    new, info = update(state, batch, KEY, hp)

    t = batch.transitions
    action = np.tanh(linear.actor(state.targets["actor"], t.next_observation).output)
    next_q = linear.critic(state.targets["critic"], t.next_observation, action).output[0, :, 0]
    error = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0] - linear.bellman(
        batch, next_q
    )
    np.testing.assert_allclose(info.priorities, np.abs(error[0]), rtol=1e-3, atol=1e-5)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])

    output, hidden = linear.actor(state.actor.variables, t.observation)
    slope = -linear.action_slopes(new.critic.variables)[0] * (1 - np.tanh(output) ** 2) / ROWS
    linear.assert_actor_descended(new, state, hidden, slope)
    for part in ("actor", "critic"):
        linear.assert_followed(new, state, part)


def test_normalised_rewards_by_hand():
    """They are divided by the deviation of their discounted sums, which dummy steps do not join."""
    agent, hp, state, update = linear.make(ddpg, normalize_reward=True, num_envs=ROWS)
    batch, valid, under_way = linear.sample(), np.arange(ROWS) != 4, np.arange(ROWS, dtype=np.float32)
    t = batch.transitions
    state = state._replace(rewards=state.rewards._replace(sums=under_way))
    state = by_hand.quick(lambda state: agent.observe(state, t, valid, hp))(state)
    sums = DISCOUNT * under_way + t.reward
    deviation = sums[valid].std()
    np.testing.assert_allclose(state.rewards.statistics.variance, deviation**2, rtol=1e-4)
    np.testing.assert_allclose(state.rewards.sums, np.where(TERMINATED | TRUNCATED | ~valid, 0, sums), rtol=1e-5)

    _, info = update(state, batch, KEY, hp)
    action = np.tanh(linear.actor(state.targets["actor"], t.next_observation).output)
    next_q = linear.critic(state.targets["critic"], t.next_observation, action).output[0, :, 0]
    q = linear.critic(state.critic.variables, t.observation, t.action).output[0, :, 0]
    scaled = batch._replace(transitions=t._replace(reward=t.reward / deviation))
    np.testing.assert_allclose(info.priorities, np.abs(q - linear.bellman(scaled, next_q)), rtol=1e-3, atol=1e-5)


def test_correlated_noise_by_hand():
    agent, hp, state, _ = linear.make(ddpg, exploration="ornstein_uhlenbeck")
    hp = hp.replace(noise_scale=0.2, noise_theta=0.3)
    x, noise = linear.sample().transitions.observation, np.linspace(-0.4, 0.4, 12).reshape(ROWS, 2)
    act = by_hand.quick(lambda policy, noise: agent.act(policy, x, noise, KEY, hp))
    action, after, _ = act(agent.policy(state), noise.astype(np.float32))
    draw = np.asarray(jax.random.normal(jax.random.split(KEY)[0], (ROWS, 2)))
    want = 0.7 * noise + 0.2 * draw
    np.testing.assert_allclose(after, want, rtol=1e-4, atol=1e-6)
    mean = np.tanh(linear.actor(state.actor.variables, x).output)
    np.testing.assert_allclose(action, np.clip(mean + want, -1, 1), rtol=1e-4, atol=1e-5)
