"""Proximal policy optimisation.

Source: Schulman et al. 2017, "Proximal policy optimization algorithms" (arXiv 1707.06347). The defaults
and details are those of Huang et al. 2022, "The 37 implementation details of PPO" (CleanRL's ``ppo.py``);
the switches are those of Spinning Up, RLlib and rl_games.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl import normalization
from jaxrl.algorithms import advantages, minibatches, policy_value
from jaxrl.algorithms.advantages import Batch, Steps, Streams
from jaxrl.algorithms.policy_value import ACTOR, BOTH, Networks, Normalizers, Policy
from jaxrl.losses.policy_gradient import (
    adapt_to_kl,
    approximate_kl,
    bound_penalty,
    clipped_surrogate,
    masked_mean,
    mean_penalty,
    smooth_clipped_surrogate,
)
from jaxrl.losses.value import bounded_value_loss, clipped_value_loss
from jaxrl.types import Algorithm, Array, Info, Key, OnPolicy, PyTree, Rollout, Spec
from jaxrl.validation import require, require_choice, require_positive

BOUND_LOSSES = {"bound": bound_penalty, "regularisation": mean_penalty}
KL_STOPS = ("none", "k1", "k3")
SCOPES = ("minibatch", "rollout", "running")
ADAPTIVE = ("none", "minibatch", "epoch", "iteration")
KL_REFERENCES = ("acting", "last_epoch")


@dataclasses.dataclass(frozen=True)
class Config(minibatches.Config, policy_value.Config):
    """What changes the program's shape."""

    normalize_advantage: bool = True
    """Whether to give advantages mean 0 and deviation 1."""
    advantage_scope: str = "minibatch"
    """What they have it within: each ``minibatch``, the whole ``rollout``, or by moving averages (``running``)."""
    clip_value_loss: bool = True
    """Whether the value too stays within ``clip`` of its old prediction."""
    bound_value_loss: bool = False
    """Whether squared errors of the value count up to ``value_loss_bound`` only."""
    smooth_clamp: bool = False
    """Whether the ratio is clamped by a sigmoid, which leaves a little gradient."""
    reward_to_go: bool = False
    """Whether the value's targets are Monte Carlo returns instead of advantage plus value."""
    kl_penalty: bool = False
    """Whether ``KL(old || new)`` is a part of the loss; its coefficient adapts to ``target_kl``."""
    kl_stop: str = "none"
    """Whether gradient steps stop where an estimate of ``KL(old || new)`` is above 1.5 ``target_kl``: by ``k1``, the
    mean of the log-ratio with its sign turned, or by ``k3``, the one that is reported as ``approximate_kl``."""
    adaptive_learning_rate: str = "none"
    """Whether the learning rate adapts to ``target_kl``: after each ``minibatch``, ``epoch`` or ``iteration``."""
    kl_reference: str = "acting"
    """From which policy that divergence is: from the one that was ``acting``, or in later epochs from the one that
    learned from the same step in the ``last_epoch``."""
    bound_loss: str = "none"
    """What keeps a Gaussian's mean within bounds: ``none``, ``bound`` or ``regularisation``."""
    separate_optimizers: bool = False
    """Whether the critic, with an optimiser of its own, learns after the actor."""
    critic_epochs: int = 80
    """Passes of such a critic over each rollout."""
    critic_minibatches: int = 1
    """Parts that each of them is split into."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "critic_epochs")
        self.require_divisor("critic_minibatches")
        if self.separate_optimizers:
            self.require_microbatches(self.critic_minibatches)
        require_choice(self, "advantage_scope", SCOPES)
        require_choice(self, "kl_stop", KL_STOPS)
        require_choice(self, "adaptive_learning_rate", ADAPTIVE)
        require_choice(self, "kl_reference", KL_REFERENCES)
        require(
            self.kl_reference == "acting" or (self.adaptive_learning_rate != "none" and not self.kl_penalty),
            "kl_reference", self.kl_reference, "needs an adaptive_learning_rate and no kl_penalty",
        )  # fmt: skip
        require_choice(self, "bound_loss", ("none", *BOUND_LOSSES))
        policy_value.require_separable(self)
        require(
            not (self.clip_value_loss and self.value_head == "two_hot"), "clip_value_loss", True,
            "must be false with value_head='two_hot', which has no clipped form",
        )  # fmt: skip
        require(
            not self.bound_value_loss or (self.value_head == "scalar" and not self.clip_value_loss),
            "bound_value_loss", True, "needs clip_value_loss to be false, and a scalar value_head",
        )  # fmt: skip


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 2.5e-4
    """Adam's step size; where it adapts, that of the first step."""
    discount: Any = 0.99
    """gamma"""
    gae_lambda: Any = 0.95
    """lambda: how much of an advantage comes from later steps."""
    clip: Any = 0.2
    """How far the probability ratio may move before its gradient stops."""
    entropy_coefficient: Any = 0.01
    """Weight of the policy's entropy, which is rewarded."""
    value_coefficient: Any = 0.5
    """Weight of the value's loss, unless the critic has an optimiser of its own."""
    max_grad_norm: Any = 0.5
    """Bound of the gradient's global norm."""
    advantage_momentum: Any = 0.5
    """How much of the advantages' ``running`` moments stays in an update."""
    target_kl: Any = 0.01
    """How far a policy is to move in an update, in nats; for all switches that look at it."""
    kl_coefficient: Any = 0.2
    """Weight of the divergence at the start, with ``kl_penalty``."""
    min_learning_rate: Any = 1e-6
    """Least learning rate where it adapts."""
    max_learning_rate: Any = 1e-2
    """Greatest learning rate where it adapts."""
    value_loss_bound: Any = 10.0
    """With ``bound_value_loss``, in squared units of the reward."""
    bound_coefficient: Any = 1e-4
    """Weight of the ``bound_loss``."""
    auxiliary_coefficient: Any = 1.0
    """Weight of an ``AuxiliaryLoss``, if ``make`` is given one."""
    critic_learning_rate: Any = 1e-3
    """Step size of a critic with an optimiser of its own."""
    critic_max_grad_norm: Any = 0.5
    """Bound of its gradient's norm."""


class AuxiliaryLoss(NamedTuple):
    """A loss beside PPO's, of the features that the actor's last layer is given, and which it shapes."""

    init: Callable[[Key, Array], PyTree]
    """``init(key, features [..., n]) -> params``: what it learns by itself, such as another last layer."""
    loss: Callable[[PyTree, Array, Steps], Array]
    """``loss(params, features [..., n], steps) -> [...]``, an error for each step; its mean is added to PPO's loss."""


class State(NamedTuple):
    params: PyTree
    opt_state: optax.OptState
    """Of the parameters as one vector: many small steps are made of fewer, larger operations."""
    critic_opt_state: optax.OptState
    """``()`` unless the critic has an optimiser of its own."""
    normalizers: Normalizers
    learning_rate: PyTree
    """Where it adapts; else ``()``."""
    kl_coefficient: PyTree
    """With a penalty; else ``()``."""


def make(
    spec: Spec,
    config: Config = Config(),
    networks: Networks | None = None,
    auxiliary: AuxiliaryLoss | None = None,
    streams: Callable[[Any], Streams] | None = None,
) -> Algorithm[State]:
    """Build PPO for an environment.

    Args:
        spec: the environment's spaces. Actions: those of ``policy_head``; of a ``Box`` they are sampled from a Gaussian
            and clipped to ``[-1, 1]`` by the training loops, or from a Beta distribution within.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.
        auxiliary: a loss of one's own. Its parameters are in ``State.params`` under ``auxiliary``, and it is reported.
        streams: ``streams(hp)``, how the rewards of a vector differ.

    Raises:
        ValueError: for an action space that PPO's policies do not cover, or a torso that does not suit observations.
    """
    networks = policy_value.make_networks(spec, config) if networks is None else networks
    if config.bound_loss != "none":
        policy_value.require_bounded_gaussian(spec, config, "bound_loss", config.bound_loss)
    optimizer = policy_value.make_optimizer(config)
    separate, adaptive = config.separate_optimizers, config.adaptive_learning_rate
    running = config.normalize_advantage and config.advantage_scope == "running"
    # Where a minibatch is divided, its advantages are normalised before it is.
    within = config.normalize_advantage and config.advantage_scope == "minibatch"
    divided = within and config.microbatch_size is not None
    loss_config = dataclasses.replace(config, normalize_advantage=False) if divided else config

    def init(key: Key, hp: Hyperparameters) -> State:
        params = networks.init(key)
        if auxiliary is not None:
            features = networks.example(params).features
            params |= {"auxiliary": auxiliary.init(jax.random.fold_in(key, 3), features)}
        own = _without_critic(params) if separate else params
        moments = normalization.init(jnp.zeros(())) if running else ()
        return State(
            params,
            optimizer.init(ravel_pytree(own)[0]),
            optimizer.init(ravel_pytree(params["critic"])[0]) if separate else (),
            networks.init_normalizers()._replace(advantage=moments),
            () if adaptive == "none" else jnp.asarray(hp.learning_rate, jnp.float32),
            jnp.asarray(hp.kl_coefficient, jnp.float32) if config.kl_penalty else (),
        )

    def loss(params: PyTree, batch: Batch, statistics: PyTree, kl_coefficient: Any, hp: Hyperparameters) -> tuple:
        steps = advantages.steps_of(networks, batch)
        sides = (ACTOR,) if separate else BOTH
        outputs = networks.apply(Policy(params, statistics), steps.observation, batch.carry, steps.begins, sides)
        total, metrics = policy_loss(loss_config, outputs.distribution, steps, kl_coefficient, hp)
        if auxiliary is not None:
            error = auxiliary.loss(params["auxiliary"], outputs.features, steps)
            metrics["auxiliary_loss"] = masked_mean(error, steps.valid, config.axis_name)
            total += hp.auxiliary_coefficient * metrics["auxiliary_loss"]
        if not separate:
            metrics["value_loss"] = value_loss(networks, config, outputs.value, steps, hp)
            total += hp.value_coefficient * metrics["value_loss"]
        return total, {"loss": total, **metrics}

    def prepare(batch: Batch) -> Batch:
        if not divided:
            return batch
        steps = batch.steps
        advantage = advantages.normalized_advantage(config, steps.advantage, steps.valid)
        return batch._replace(steps=steps._replace(advantage=advantage))

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        estimates, normalizers = advantages.estimate(
            networks, state.params, state.normalizers, batch, hp,
            reward_to_go=config.reward_to_go, streams=None if streams is None else streams(hp),
        )  # fmt: skip
        if config.normalize_advantage and config.advantage_scope != "minibatch":
            weight = 1 - hp.advantage_momentum if running else None
            estimates, normalizers = advantages.over_the_rollout(config, normalizers, estimates, batch, weight)
        statistics, old = state.normalizers.observation, None
        if config.kl_penalty or adaptive != "none":
            old = advantages.old_distribution(networks, Policy(state.params, statistics), batch)
        data = advantages.batch_of(networks, batch, estimates, old)
        memory = last_policies(networks, statistics, data) if config.kl_reference == "last_epoch" else None
        key, critic_key = jax.random.split(key) if separate else (key, key)
        objective = lambda params, minibatch: loss(params, minibatch, statistics, state.kl_coefficient, hp)
        params, opt_state, metrics, steering = minibatches.descend(
            objective, optimizer, _without_critic(state.params) if separate else state.params, state.opt_state, data,
            key, config.passes, learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm,
            control=control(config, state, hp), memory=memory, axis_name=config.axis_name,
            prepare=prepare, valid=advantages.valid_steps,
        )  # fmt: skip
        critic_opt_state = state.critic_opt_state
        if separate:
            fit = advantages.fit_value(
                networks, optimizer, state.params["critic"], critic_opt_state, statistics, data,
                critic_key, minibatches.Passes(config.critic_epochs, config.critic_minibatches, config.microbatch_size),
                learning_rate=hp.critic_learning_rate, max_grad_norm=hp.critic_max_grad_norm,
                error=lambda value, steps: value_loss(networks, config, value, steps, hp),
            )  # fmt: skip
            params, critic_opt_state = {**params, "critic": fit.params}, fit.opt_state
            metrics |= {"value_loss": fit.metrics["value_loss"]}
        rate, coefficient = state.learning_rate, state.kl_coefficient
        if adaptive != "none":
            rate = steering.learning_rate if adaptive != "iteration" else _adapted(rate, metrics["kl"], hp)
            metrics |= {"learning_rate": rate}
        if config.kl_penalty:
            coefficient = adapt_to_kl(coefficient, metrics["old_kl"], hp.target_kl, above=1.5, below=0.5)
            metrics |= {"kl_coefficient": coefficient}
        return State(params, opt_state, critic_opt_state, normalizers, rate, coefficient), Info(metrics)

    return Algorithm(
        name="ppo",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length),
        init=init,
        policy=lambda state: Policy(networks.acting(state.params), state.normalizers.observation),
        act=policy_value.make_act(networks),
        update=update,
        value=lambda state, observation: networks.value(state.params, state.normalizers, observation),
        initial_carry=networks.initial_carry,
        reset_carry=config.rnn_reset,
        interrupt=policy_value.interrupt,
    )


def _without_critic(params: PyTree) -> PyTree:
    return {name: p for name, p in params.items() if name != "critic"}


def policy_loss(config: Config, distribution: Any, steps: Steps, kl_coefficient: Any, hp: Hyperparameters) -> tuple:
    """All of the loss that is the actor's, and its metrics."""
    mean = lambda values: masked_mean(values, steps.valid, config.axis_name)
    log_ratio = distribution.log_prob(steps.action) - steps.log_prob
    ratio, advantage = jnp.exp(log_ratio), steps.advantage
    if config.normalize_advantage and config.advantage_scope == "minibatch":
        advantage = advantages.normalized_advantage(config, advantage, steps.valid)
    surrogate = smooth_clipped_surrogate if config.smooth_clamp else clipped_surrogate
    clipped = mean(surrogate(ratio, advantage, hp.clip))
    entropy = mean(distribution.entropy())
    total = clipped - hp.entropy_coefficient * entropy
    metrics = {
        "policy_loss": clipped,
        "entropy": entropy,
        "approximate_kl": mean(approximate_kl(log_ratio)),
        "clip_fraction": mean((jnp.abs(ratio - 1.0) > hp.clip).astype(jnp.float32)),
    }
    if config.kl_stop == "k1":
        metrics["mean_log_ratio"] = mean(log_ratio)
    if config.kl_penalty:
        metrics["old_kl"] = mean(steps.old.kl_divergence(distribution))
        total += kl_coefficient * metrics["old_kl"]
    if config.adaptive_learning_rate != "none":
        metrics["kl"] = mean(distribution.kl_divergence(steps.old))
    if config.bound_loss != "none":
        metrics["bound_loss"] = mean(BOUND_LOSSES[config.bound_loss](distribution.mean))
        total += hp.bound_coefficient * metrics["bound_loss"]
    return total, metrics


def value_loss(networks: Networks, config: Config, value: Array, steps: Steps, hp: Hyperparameters) -> Array:
    """The critic's loss, by the switches of a configuration."""
    if config.clip_value_loss:
        error = clipped_value_loss(value, steps.value, steps.target, hp.clip)
    elif config.bound_value_loss:
        error = bounded_value_loss(value, steps.target, hp.value_loss_bound)
    else:
        error = networks.value_error(value, steps.target)
    return advantages.mean_error(networks, error, steps.valid)


def last_policies(networks: Networks, statistics: PyTree, data: Batch) -> minibatches.Memory:
    """The policy of each step when it was learned from the last time, in the place of the one that acted.

    Source: rl_games, ``a2c_common.py``, ``dataset.update_mu_sigma``.
    """

    def renew(params: PyTree, batch: Batch) -> Any:
        steps = advantages.steps_of(networks, batch)
        policy = networks.actor(Policy(params, statistics), steps.observation, batch.carry, steps.begins)
        return minibatches.time_major(policy) if networks.config.recurrent else policy

    recall = lambda batch, old: batch._replace(steps=batch.steps._replace(old=old))
    return minibatches.Memory(data.steps.old, recall, renew)


class Steering(NamedTuple):
    """What is known while a descent goes on."""

    learning_rate: Array
    stopped: Array
    total_kl: Array
    """Over the minibatches of the epoch so far."""


def control(config: Config, state: State, hp: Hyperparameters) -> minibatches.Control | None:
    """What steers the gradient steps: KL early stop and the adaptive learning rate; None if there is neither."""
    adaptive = config.adaptive_learning_rate
    if config.kl_stop == "none" and adaptive == "none":
        return None

    def step(steering: Steering, metrics: dict[str, Array], last: Array) -> tuple[Steering, Array, Array]:
        rate, stopped, total_kl = steering
        before = stopped
        if config.kl_stop != "none":
            estimate = -metrics["mean_log_ratio"] if config.kl_stop == "k1" else metrics["approximate_kl"]
            stopped |= estimate > 1.5 * hp.target_kl
        new_rate = rate
        if adaptive == "minibatch":
            new_rate = _adapted(rate, metrics["kl"], hp)
        if adaptive == "epoch":
            total_kl += metrics["kl"]
            new_rate = jnp.where(last, _adapted(rate, total_kl / config.num_minibatches, hp), rate)
            total_kl = jnp.where(last, 0.0, total_kl)
        # After a stop the same parameters would be judged again and again.
        return Steering(jnp.where(before, rate, new_rate), stopped, total_kl), rate, ~stopped

    rate = jnp.asarray(hp.learning_rate if adaptive == "none" else state.learning_rate, jnp.float32)
    return minibatches.Control(Steering(rate, jnp.array(False), jnp.zeros(())), step)


def _adapted(rate: Array, kl: Array, hp: Hyperparameters) -> Array:
    adapted = adapt_to_kl(rate, kl, hp.target_kl, above=1 / 1.5, below=1.5)
    return jnp.clip(adapted, hp.min_learning_rate, hp.max_learning_rate)
