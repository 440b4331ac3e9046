"""Contender: a plain double DQN, all of training in one jitted function, its buffer written in place.

One environment, an update of 256 transitions at every step, one array for each field of the buffer.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import optax
from protocol import compiled, parameters, serve

BATCH_SIZE, PREFILL, TARGET_PERIOD = 256, 1_000, 100
LEARNING_RATE, DISCOUNT, MAX_GRAD_NORM = 1e-3, 0.99, 10.0
EPSILON_START, EPSILON_END, EXPLORATION_FRACTION = 1.0, 0.05, 0.1


class Transition(NamedTuple):
    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array
    next_observation: jax.Array


class Ring(NamedTuple):
    """The last ``capacity`` transitions."""

    data: Transition
    added: jax.Array

    @classmethod
    def empty(cls, example: Transition, capacity: int) -> Ring:
        return cls(jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), example), jnp.int32(0))

    def add(self, transition: Transition) -> Ring:
        capacity = self.data.reward.shape[0]
        place = self.added % capacity
        return Ring(jax.tree.map(lambda old, new: old.at[place].set(new), self.data, transition), self.added + 1)

    def sample(self, key: jax.Array) -> Transition:
        size = jnp.minimum(self.added, self.data.reward.shape[0])
        indices = jax.random.randint(key, (BATCH_SIZE,), 0, size)
        return jax.tree.map(lambda x: x[indices], self.data)


class QNetwork(nn.Module):
    num_actions: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(64)(x))
        x = nn.relu(nn.Dense(64)(x))
        return nn.Dense(self.num_actions)(x)


def make_train(total_steps: int, empty_buffer: Any):
    """``train(seed) -> parameters, episodes``; ``empty_buffer(example)`` has ``add`` and ``sample``."""
    env, env_params = gymnax.make("CartPole-v1")
    network = QNetwork(env.num_actions)
    optimizer = optax.chain(optax.clip_by_global_norm(MAX_GRAD_NORM), optax.adam(LEARNING_RATE))
    epsilon_at = optax.linear_schedule(EPSILON_START, EPSILON_END, int(EXPLORATION_FRACTION * total_steps))

    def interact(env_state, observation, action, key):
        next_observation, env_state, reward, *ends, _ = env.step(key, env_state, action, env_params)
        done = functools.reduce(jnp.logical_or, ends)
        reward = jnp.asarray(reward, jnp.float32)
        return env_state, next_observation, Transition(observation, action, reward, done, next_observation)

    def prefill_step(carry, key):
        buffer, env_state, observation = carry
        action_key, step_key = jax.random.split(key)
        action = jax.random.randint(action_key, (), 0, env.num_actions)
        env_state, observation, transition = interact(env_state, observation, action, step_key)
        return (buffer.add(transition), env_state, observation), None

    def loss(params, target_params, batch: Transition):
        q = jnp.take_along_axis(network.apply(params, batch.observation), batch.action[:, None], axis=1).squeeze(1)
        next_action = jnp.argmax(network.apply(params, batch.next_observation), axis=1)
        next_q = network.apply(target_params, batch.next_observation)
        next_q = jnp.take_along_axis(next_q, next_action[:, None], axis=1).squeeze(1)
        target = batch.reward + DISCOUNT * (1 - batch.done) * next_q
        return 0.5 * ((q - jax.lax.stop_gradient(target)) ** 2).mean()

    def train_step(carry, step):
        params, target_params, opt_state, buffer, env_state, observation, key = carry
        key, explore_key, action_key, step_key, sample_key = jax.random.split(key, 5)
        greedy = jnp.argmax(network.apply(params, observation))
        random = jax.random.randint(action_key, (), 0, env.num_actions)
        action = jnp.where(jax.random.uniform(explore_key) < epsilon_at(step), random, greedy)
        env_state, observation, transition = interact(env_state, observation, action, step_key)
        buffer = buffer.add(transition)

        gradients = jax.grad(loss)(params, target_params, buffer.sample(sample_key))
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        params = optax.apply_updates(params, updates)
        copy = step % TARGET_PERIOD == 0
        target_params = jax.tree.map(lambda new, old: jnp.where(copy, new, old), params, target_params)
        return (params, target_params, opt_state, buffer, env_state, observation, key), transition.done

    def train(seed):
        key, init_key, reset_key, prefill_key = jax.random.split(jax.random.key(seed), 4)
        observation, env_state = env.reset(reset_key, env_params)
        params = network.init(init_key, observation)
        example = Transition(observation, jnp.int32(0), jnp.float32(0), jnp.bool_(False), observation)
        (buffer, env_state, observation), _ = jax.lax.scan(
            prefill_step, (empty_buffer(example), env_state, observation), jax.random.split(prefill_key, PREFILL)
        )
        carry = params, params, optimizer.init(params), buffer, env_state, observation, key
        carry, done = jax.lax.scan(train_step, carry, jnp.arange(PREFILL, total_steps))
        return carry[0], done.sum()

    return train


def main(empty_buffer: Any, packages: tuple[str, ...] = ()) -> None:
    """Serve as a contender, with a kind of buffer."""
    wanted = parameters()
    train = make_train(wanted["steps"], lambda example: empty_buffer(example, wanted["buffer_size"]))
    seed = jnp.int32(0)
    program, compile_seconds = compiled(train, seed)

    def work() -> int:
        jax.block_until_ready(program(seed))
        return wanted["steps"]

    serve(work, compile_seconds=compile_seconds, packages=("jax", "jaxlib", "flax", "optax", "gymnax", *packages))


if __name__ == "__main__":
    main(Ring.empty)
