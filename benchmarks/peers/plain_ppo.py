"""Contender: a plain PPO, all of training in one jitted function.

The usual single file: scans over updates, environment steps, epochs and minibatches; gymnax's own auto-reset;
value and log-probability computed while acting; advantages by a reversed scan. Nothing in it is special.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import optax
from protocol import compiled, parameters, serve

DISCOUNT, GAE_LAMBDA, CLIP = 0.99, 0.95, 0.2
ENTROPY_COEFFICIENT, VALUE_COEFFICIENT, MAX_GRAD_NORM = 0.01, 0.5, 0.5


class Settings(NamedTuple):
    """What a case may choose, by the names of jaxrl."""

    env: str = "CartPole-v1"
    num_envs: int = 4
    rollout_length: int = 128
    num_epochs: int = 4
    num_minibatches: int = 4
    hidden_sizes: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    learning_rate: float = 2.5e-4

    @property
    def batch_size(self) -> int:
        return self.num_envs * self.rollout_length


class Step(NamedTuple):
    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array
    value: jax.Array
    log_prob: jax.Array


class ActorCritic(nn.Module):
    num_actions: int
    hidden_sizes: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, x):
        dense = lambda size, scale: nn.Dense(size, kernel_init=nn.initializers.orthogonal(scale))
        actor = critic = x.reshape(x.shape[0], -1)
        for size in self.hidden_sizes:
            actor = getattr(nn, self.activation)(dense(size, 2**0.5)(actor))
            critic = getattr(nn, self.activation)(dense(size, 2**0.5)(critic))
        return dense(self.num_actions, 0.01)(actor), dense(1, 1.0)(critic).squeeze(-1)


def log_prob_of(logits, action):
    return jnp.take_along_axis(jax.nn.log_softmax(logits), action[..., None], axis=-1).squeeze(-1)


def make_train(total_steps: int, settings: Settings):
    """``train(seed) -> parameters, episodes``, and the environment steps that it makes."""
    env, env_params = gymnax.make(settings.env)
    batch_size, num_envs, num_minibatches = settings.batch_size, settings.num_envs, settings.num_minibatches
    num_updates = -(-total_steps // batch_size)
    network = ActorCritic(env.num_actions, settings.hidden_sizes, settings.activation)
    schedule = optax.linear_schedule(settings.learning_rate, 0.0, num_updates * settings.num_epochs * num_minibatches)
    optimizer = optax.chain(optax.clip_by_global_norm(MAX_GRAD_NORM), optax.adam(schedule, eps=1e-5))

    def env_step(carry, _):
        params, env_state, observation, key = carry
        key, action_key, step_key = jax.random.split(key, 3)
        logits, value = network.apply(params, observation)
        action = jax.random.categorical(action_key, logits)
        next_observation, env_state, reward, *ends, _ = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            jax.random.split(step_key, num_envs), env_state, action, env_params
        )
        done = functools.reduce(jnp.logical_or, ends)
        step = Step(observation, action, reward, done, value, log_prob_of(logits, action))
        return (params, env_state, next_observation, key), step

    def advantages(steps: Step, last_value):
        def backwards(carry, step):
            advantage, next_value = carry
            delta = step.reward + DISCOUNT * next_value * (1 - step.done) - step.value
            advantage = delta + DISCOUNT * GAE_LAMBDA * (1 - step.done) * advantage
            return (advantage, step.value), advantage

        return jax.lax.scan(backwards, (jnp.zeros_like(last_value), last_value), steps, reverse=True)[1]

    def loss(params, steps: Step, advantage, target):
        logits, value = network.apply(params, steps.observation)
        clipped_value = steps.value + jnp.clip(value - steps.value, -CLIP, CLIP)
        value_loss = 0.5 * jnp.maximum((value - target) ** 2, (clipped_value - target) ** 2).mean()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = jnp.exp(log_prob_of(logits, steps.action) - steps.log_prob)
        policy_loss = -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
        entropy = -(jax.nn.softmax(logits) * jax.nn.log_softmax(logits)).sum(-1).mean()
        return policy_loss + VALUE_COEFFICIENT * value_loss - ENTROPY_COEFFICIENT * entropy

    def minibatch_step(carry, minibatch):
        params, opt_state = carry
        updates, opt_state = optimizer.update(jax.grad(loss)(params, *minibatch), opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    def update(carry, _):
        params, opt_state, env_state, observation, key = carry
        (_, env_state, observation, key), steps = jax.lax.scan(
            env_step, (params, env_state, observation, key), None, settings.rollout_length
        )
        advantage = advantages(steps, network.apply(params, observation)[1])
        batch = jax.tree.map(lambda x: x.reshape(batch_size, *x.shape[2:]), (steps, advantage, advantage + steps.value))

        def epoch(carry, key):
            order = jax.random.permutation(key, batch_size)
            shuffled = jax.tree.map(lambda x: jnp.take(x, order, axis=0), batch)
            minibatches = jax.tree.map(lambda x: x.reshape(num_minibatches, -1, *x.shape[1:]), shuffled)
            return jax.lax.scan(minibatch_step, carry, minibatches)[0], None

        key, epochs_key = jax.random.split(key)
        keys = jax.random.split(epochs_key, settings.num_epochs)
        (params, opt_state), _ = jax.lax.scan(epoch, (params, opt_state), keys)
        return (params, opt_state, env_state, observation, key), steps.done.sum()

    def train(seed):
        key, init_key, reset_key = jax.random.split(jax.random.key(seed), 3)
        observation, env_state = jax.vmap(env.reset, in_axes=(0, None))(
            jax.random.split(reset_key, num_envs), env_params
        )
        params = network.init(init_key, observation)
        carry = params, optimizer.init(params), env_state, observation, key
        carry, episodes = jax.lax.scan(update, carry, None, num_updates)
        return carry[0], episodes

    return train, num_updates * batch_size


if __name__ == "__main__":
    wanted = parameters()
    settings = {name: wanted[name] for name in Settings._fields if name in wanted}
    train, steps = make_train(wanted["steps"], Settings(**settings))
    num_seeds = wanted.get("seeds", 1)
    seeds = jnp.arange(num_seeds) if num_seeds > 1 else jnp.int32(0)
    program, compile_seconds = compiled(jax.vmap(train) if num_seeds > 1 else train, seeds)

    def work() -> int:
        jax.block_until_ready(program(seeds))
        return steps * num_seeds

    serve(work, compile_seconds=compile_seconds, packages=("jax", "jaxlib", "flax", "optax", "gymnax"))
