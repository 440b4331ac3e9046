"""What the policy-gradient family learns from: advantages and targets of a rollout, its steps as items, and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl import normalization, observations
from jaxrl.algorithms import minibatches
from jaxrl.algorithms.policy_value import Config, Networks, Normalizers, Policy
from jaxrl.losses.policy_gradient import masked_mean, normalize
from jaxrl.losses.returns import generalized_advantage_estimation, lambda_returns
from jaxrl.types import Array, Key, PyTree, Rollout, Transition

ADVANTAGE_CLIP = 5.0
"""Bound of advantages that moving averages normalise, in deviations."""


class Estimates(NamedTuple):
    """What is learned from, ``[T, B]`` each."""

    advantage: Array
    value: Array
    """The critic's, as it was; in the units of its outputs."""
    target: Array
    """What it is to be; likewise. With vector rewards these two are ``[T, B, K]``."""


class Streams(NamedTuple):
    """How the K rewards of a vector differ. Without it they have one discount, and their advantages are added up."""

    discount: Array
    """``[K]`` gamma."""
    weight: Array
    """``[K]`` of the advantages in their sum."""
    episodic: tuple[bool, ...]
    """Whether a return ends with its episode; else it goes on in the next one."""


def ended(rollout: Rollout) -> Array:
    """``[T, B]`` where the next step begins another episode: at its end, and at a dummy step of a host environment."""
    t = rollout.transitions
    done = t.terminated | t.truncated
    return done if rollout.valid is None else done | ~rollout.valid.astype(bool)


def begins(config: Config, rollout: Rollout) -> Array | None:
    """``[T, B]`` where an episode begins, and so the recurrent state is zero; the first step has a stored one, reset if
    need be. None if nothing is recurrent, or the state goes on."""
    if not (config.recurrent and config.rnn_reset):
        return None
    return jnp.concatenate([jnp.zeros_like(ended(rollout)[:1]), ended(rollout)[:-1]])


def values(networks: Networks, policy: Policy, transitions: Transition, carry: PyTree) -> tuple[Array, Array]:
    """The critic's outputs for observations and for true successors ``[T, B]``, by the states stored with the steps.

    Source: rl_games, ``value_bootstrap``, for ``current_value``.
    """
    now = networks.stepwise(policy, transitions.observation, carry)
    following = networks.stepwise(policy, transitions.next_observation, now.carry).value
    if networks.config.bootstrap == "current_value":
        truncated = transitions.truncated.reshape(transitions.truncated.shape + (1,) * (following.ndim - 2))
        following = jnp.where(truncated, now.value, following)
    return now.value, following


def normalize_rewards(
    networks: Networks, normalizers: Normalizers, rollout: Rollout, discount: Array
) -> tuple[Array, Normalizers]:
    """Rewards divided by the deviation of their discounted sum, and the statistics that these have joined."""
    normalizers = observe_rewards(networks, normalizers, rollout, discount)
    return scaled_reward(networks, normalizers, rollout.transitions.reward), normalizers


def observe_rewards(networks: Networks, normalizers: Normalizers, rollout: Rollout, discount: Array) -> Normalizers:
    """The statistics after the discounted sums of a rollout's rewards."""
    reward, c = rollout.transitions.reward, networks.config
    if not c.normalize_reward:
        return normalizers
    over = ended(rollout)
    over = over.reshape(over.shape + (1,) * (reward.ndim - 2))
    last, sums = normalization.discounted_sums(normalizers.sums, reward, over, discount)
    statistics = normalization.update(normalizers.reward, sums, rollout.valid, c.axis_name)
    return normalizers._replace(reward=statistics, sums=last)


def scaled_reward(networks: Networks, normalizers: Normalizers, reward: Array) -> Array:
    """Rewards divided by the deviation of their discounted sum, as far as that is known."""
    if not networks.config.normalize_reward:
        return reward
    scaled = reward / jnp.sqrt(normalizers.reward.variance + normalization.EPSILON)
    return jnp.clip(scaled, -normalization.CLIP, normalization.CLIP)


def observe(networks: Networks, normalizers: Normalizers, rollout: Rollout) -> Normalizers:
    """The statistics after a rollout's observations. What acted saw the old ones, and so does the update."""
    c = networks.config
    if not c.normalize_observation:
        return normalizers
    seen = observations.normalizable(
        networks.spec.observation_space, rollout.transitions.observation, c.normalize_images
    )
    return normalizers._replace(
        observation=normalization.update(normalizers.observation, seen, rollout.valid, c.axis_name)
    )


def estimate(
    networks: Networks,
    params: PyTree,
    normalizers: Normalizers,
    rollout: Rollout,
    hp: Any,
    *,
    reward_to_go: bool = False,
    streams: Streams | None = None,
) -> tuple[Estimates, Normalizers]:
    """Generalised advantage estimates and targets of a rollout, and the statistics that it has joined.

    Args:
        networks: of the algorithm.
        params: with which it was collected.
        normalizers: likewise.
        rollout: ``[T, B, ...]``.
        hp: with ``discount`` and ``gae_lambda``.
        reward_to_go: whether the targets are Monte Carlo returns, bootstrapped where the rollout ends, and not
            advantage plus value.
        streams: how the rewards of a vector differ; its discounts are in the place of ``hp.discount``.
    """
    t, c = rollout.transitions, networks.config
    discount = hp.discount if streams is None else streams.discount
    reward, normalizers = normalize_rewards(networks, normalizers, rollout, discount)
    policy = Policy(params, normalizers.observation)
    value, next_value = values(networks, policy, t, rollout.extras.get("carry", ()))
    value, next_value = (networks.value_of(x, normalizers) for x in (value, next_value))
    over = [x.reshape(x.shape + (1,) * (value.ndim - x.ndim)) for x in (t.terminated, t.truncated)]
    over = [jnp.broadcast_to(x, value.shape) for x in over]
    if streams is not None:
        next_value, over = _across_episodes(streams, value, next_value, *over)
    advantage = generalized_advantage_estimation(reward, value, next_value, *over, discount, hp.gae_lambda)
    target = lambda_returns(reward, next_value, *over, discount, 1.0) if reward_to_go else advantage + value
    if c.normalize_value:
        # The statistics take both, one after the other, each normalised by what there is by then, as rl_games has it.
        known = normalizers.value
        after_values = normalization.update(known, value, rollout.valid, c.axis_name)
        after_both = normalization.update(after_values, target, rollout.valid, c.axis_name)
        value = normalization.apply(after_values, value, c.value_clip)
        target = normalization.apply(after_both, target, c.value_clip)
        normalizers = normalizers._replace(value=after_both)
    if networks.spec.reward_shape:
        advantage = jnp.sum(advantage if streams is None else streams.weight * advantage, axis=-1)
    return Estimates(advantage, value, target), observe(networks, normalizers, rollout)


def _across_episodes(
    streams: Streams, value: Array, next_value: Array, terminated: Array, truncated: Array
) -> tuple[Array, list[Array]]:
    """What a return that is not episodic bootstraps from, and where returns end, all ``[T, B, K]``.

    After the last step of an episode comes the first of the next. Where the rollout ends in between, that is not known,
    and the true successor's value takes its place. A dummy step of a host environment is one that leads from the end of
    an episode to the next.
    """
    goes_on = ~np.array(streams.episodic)
    following = jnp.concatenate([value[1:], next_value[-1:]])
    next_value = jnp.where(goes_on & (terminated | truncated), following, next_value)
    return next_value, [jnp.where(goes_on, False, x) for x in (terminated, truncated)]


class Steps(NamedTuple):
    """What gradient steps see of a rollout: ``[N, ...]``, or time-major sequences ``[T, N, ...]``."""

    observation: PyTree
    action: PyTree
    log_prob: Array
    advantage: Array
    value: Array
    target: Array
    valid: Array | None
    begins: Array | None
    """None if nothing is recurrent, or the state is not reset."""
    old: Any
    """The distribution that acted, or None."""


class Batch(NamedTuple):
    """Items to draw minibatches from, or a minibatch of them."""

    steps: Steps
    carry: PyTree
    """Stored states at the beginning of the sequences ``[N, ...]``; ``()`` if nothing is recurrent."""


def valid_steps(batch: Batch) -> Array | None:
    """The mask of real steps; None if all are."""
    return batch.steps.valid


def batch_of(networks: Networks, rollout: Rollout, estimates: Estimates, old: Any = None) -> Batch:
    """A rollout as items: single steps, or sequences with their stored states."""
    t, c = rollout.transitions, networks.config
    steps = Steps(
        t.observation, t.action, rollout.extras["log_prob"], *estimates, rollout.valid,
        begins(c, rollout), old,
    )  # fmt: skip
    if not c.recurrent:
        return Batch(minibatches.items(steps), ())
    length = c.sequence_length or c.rollout_length
    first = jax.tree.map(lambda x: x[::length], rollout.extras["carry"])
    return Batch(minibatches.sequences(steps, length), minibatches.items(first))


def steps_of(networks: Networks, batch: Batch) -> Steps:
    """The steps as the networks want them: time-major, if they are recurrent."""
    return minibatches.time_major(batch.steps) if networks.config.recurrent else batch.steps


def old_distribution(networks: Networks, policy: Policy, rollout: Rollout) -> Any:
    """``[T, B]`` the distribution that acted."""
    if not networks.config.recurrent:
        return networks.actor(policy, rollout.transitions.observation, (), None)
    return networks.stepwise(policy, rollout.transitions.observation, rollout.extras["carry"]).distribution


def normalized_advantage(config: Config, advantage: Array, valid: Array | None) -> Array:
    """Advantages with mean 0 and deviation 1, over the devices too."""
    return normalize(advantage, valid, axis_name=config.axis_name)


def over_the_rollout(
    config: Config,
    normalizers: Normalizers,
    estimates: Estimates,
    rollout: Rollout,
    weight: Array | float | None = None,
) -> tuple[Estimates, Normalizers]:
    """Estimates with normalised advantages: by the rollout's own moments, or with a weight by moving averages of such.

    Args:
        config: for its ``axis_name``.
        normalizers: with statistics of advantages, if a weight is given.
        estimates: of the rollout.
        rollout: for its mask.
        weight: of the rollout in the moving averages; None for its own moments alone.

    Source: rl_games, ``normalize_advantage`` and ``normalize_rms_advantage``, the latter without its bias towards zero
    at the start.
    """
    if weight is None:
        advantage = normalized_advantage(config, estimates.advantage, rollout.valid)
    else:
        moments = normalization.update(
            normalizers.advantage, estimates.advantage, rollout.valid, config.axis_name, weight
        )
        advantage = normalization.apply(moments, estimates.advantage, ADVANTAGE_CLIP)
        normalizers = normalizers._replace(advantage=moments)
    return estimates._replace(advantage=advantage), normalizers


def value_loss(networks: Networks, output: Array, steps: Steps) -> Array:
    """The mean error of the critic, summed over the rewards of a vector."""
    return mean_error(networks, networks.value_error(output, steps.target), steps.valid)


def mean_error(networks: Networks, error: Array, valid: Array | None) -> Array:
    """The mean of a critic's errors, summed over the rewards of a vector; with ``axis_name``, this device's share."""
    error = jnp.sum(error, axis=-1) if networks.spec.reward_shape else error
    return masked_mean(error, valid, networks.config.axis_name)


def fit_value(
    networks: Networks,
    optimizer: optax.GradientTransformation,
    params: PyTree,
    opt_state: optax.OptState,
    statistics: PyTree,
    batch: Batch,
    key: Key,
    passes: minibatches.Passes,
    *,
    learning_rate: Array,
    max_grad_norm: Array | None = None,
    error: Callable[[Array, Steps], Array] | None = None,
) -> minibatches.Descent:
    """Regress a critic of its own upon the targets of a rollout.

    Args:
        networks: of the algorithm.
        optimizer: of the critic.
        params: the critic's.
        opt_state: of the critic's parameters as one vector.
        statistics: of observations.
        batch: all items.
        key: consumed.
        passes: how many.
        learning_rate: step size.
        max_grad_norm: bound of the gradient's global norm; None for none.
        error: ``error(output, steps)``, the loss of the critic's output; by default ``value_loss``.
    """

    def loss(params, batch):
        steps = steps_of(networks, batch)
        output = networks.critic(Policy({"critic": params}, statistics), steps.observation, batch.carry, steps.begins)
        value = value_loss(networks, output, steps) if error is None else error(output, steps)
        return value, {"value_loss": value}

    return minibatches.descend(
        loss, optimizer, params, opt_state, batch, key, passes,
        learning_rate=learning_rate, max_grad_norm=max_grad_norm, axis_name=networks.config.axis_name,
        valid=valid_steps,
    )  # fmt: skip


def policy_gradient_loss(
    per_step: Array,
    value_loss: Array,
    entropy: Array,
    valid: Array | None,
    hp: Any,
    axis_name: str | None = None,
    separate_optimizers: bool = False,
) -> tuple[Array, dict[str, Array]]:
    """``mean(L_pi) + c_v L_V - c_e mean(H)`` and its parts; with ``L_pi = -A log pi(a|s)`` that of A3C and IMPALA.

    With an optimiser for each there is nothing to weigh: ``c_v`` is 1.

    Source: Mnih et al. 2016 (arXiv 1602.01783), section 4; Espeholt et al. 2018 (arXiv 1802.01561), section 4.2.
    """
    policy_loss, entropy = (masked_mean(x, valid, axis_name) for x in (per_step, entropy))
    weight = 1.0 if separate_optimizers else hp.value_coefficient
    total = policy_loss + weight * value_loss - hp.entropy_coefficient * entropy
    return total, {"loss": total, "policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
