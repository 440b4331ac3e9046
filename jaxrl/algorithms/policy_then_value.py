"""What VPG, NPG and TRPO share: one step of the policy on each rollout, then a fit of the value by gradient descent.

A member brings the step of the policy. Everything else, recurrence and normalisers included, is that of the family.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl.algorithms import advantages, minibatches, policy_value
from jaxrl.algorithms.policy_value import Normalizers, Policy
from jaxrl.collectives import as_own
from jaxrl.losses.policy_gradient import masked_mean
from jaxrl.losses.trust_region import fisher_vector_product
from jaxrl.types import Algorithm, Array, Info, Key, OnPolicy, PyTree, Rollout, Spec
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config(policy_value.Config):
    """What changes the program's shape."""

    rollout_length: int = 1000
    """Steps of each environment between two updates."""
    normalize_advantage: bool = True
    """Whether to give each rollout's advantages mean 0 and deviation 1."""
    reward_to_go: bool = True
    """Whether the value's targets are Monte Carlo returns, bootstrapped where the rollout ends; else lambda-returns."""
    value_iterations: int = 80
    """Passes of the value over each rollout."""
    value_minibatches: int = 1
    """Parts that each of them is split into."""
    adam_epsilon: float = 1e-8
    """Added to the optimiser's denominator, for ``rmsprop`` under the root."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "value_iterations")
        self.require_divisor("value_minibatches")
        require(not self.shared_torso, "shared_torso", True, "must be false: the value is fitted by itself")


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    discount: Any = 0.99
    """gamma"""
    gae_lambda: Any = 0.97
    """lambda: how much of an advantage comes from later steps."""
    critic_learning_rate: Any = 1e-3
    """Step size of the value's optimiser."""
    critic_max_grad_norm: Any = None
    """Bound of its gradient's norm; none by default."""


class State(NamedTuple):
    params: PyTree
    opt_state: PyTree
    """The policy's; ``()`` if its step needs none."""
    critic_opt_state: optax.OptState
    normalizers: Normalizers


class Problem(NamedTuple):
    """What a step of the policy is to improve, as functions of the actor's parameters ``[n]``."""

    surrogate: Callable[[Array], Array]
    """``-mean(pi / pi_old A)``, the loss; its gradient at the old parameters is the policy gradient."""
    kl: Callable[[Array], Array]
    """``mean KL(pi_old || pi)`` in nats."""
    gradient: Callable[[Array], Array]
    """That of the surrogate."""
    fisher: Callable[[Array, Array, Array], Array]
    """``fisher(params, vector, damping)``: the product with the damped Fisher matrix at the old parameters."""


class PolicyStep(Protocol):
    """``policy_step(problem, params [n], opt_state, hp) -> params, opt_state, metrics``."""

    def __call__(
        self, problem: Problem, params: Array, opt_state: PyTree, hp: Any
    ) -> tuple[Array, PyTree, dict[str, Array]]: ...


def make_policy_then_value(
    name: str,
    spec: Spec,
    config: Config,
    hyperparameters: Hyperparameters,
    policy_step: PolicyStep,
    init_policy: Callable[[Array], PyTree] = lambda params: (),
    networks: policy_value.Networks | None = None,
) -> Algorithm[State]:
    """Build a member of the family.

    Args:
        name: its name.
        spec: the environment's spaces.
        config: static configuration.
        hyperparameters: defaults.
        policy_step: see ``PolicyStep``.
        init_policy: ``init_policy(params [n]) -> opt_state``.
        networks: by default those of ``policy_value.make_networks``.
    """
    networks = policy_value.make_networks(spec, config) if networks is None else networks
    optimizer = policy_value.make_optimizer(config)
    across = lambda x: x if config.axis_name is None else jax.lax.pmean(x, config.axis_name)

    def init(key: Key, hp: Any) -> State:
        del hp
        params = networks.init(key)
        actor, critic = (ravel_pytree(params[side])[0] for side in ("actor", "critic"))
        return State(params, init_policy(actor), optimizer.init(critic), networks.init_normalizers())

    def problem(statistics: PyTree, batch: advantages.Batch, unravel: Callable[[Array], PyTree]) -> Problem:
        steps = advantages.steps_of(networks, batch)
        mean = lambda values: masked_mean(values, steps.valid, config.axis_name)

        def distribution(vector: Array) -> Any:
            policy = Policy({"actor": unravel(vector)}, statistics)
            return networks.actor(policy, steps.observation, batch.carry, steps.begins)

        def surrogate(vector: Array) -> Array:
            log_ratio = distribution(vector).log_prob(steps.action) - steps.log_prob
            return mean(-jnp.exp(log_ratio) * steps.advantage)

        kl = lambda vector: mean(steps.old.kl_divergence(distribution(vector)))
        own = lambda vector: as_own(vector, config.axis_name, like=batch)

        def fisher(params: Array, vector: Array, damping: Array) -> Array:
            return across(fisher_vector_product(kl, own(params), own(vector))) + damping * vector

        return Problem(
            surrogate=lambda vector: across(surrogate(vector)),
            kl=lambda vector: across(kl(vector)),
            gradient=lambda vector: across(jax.grad(surrogate)(own(vector))),
            fisher=fisher,
        )

    def update(state: State, batch: Rollout, key: Key, hp: Any) -> tuple[State, Info]:
        estimates, normalizers = advantages.estimate(
            networks, state.params, state.normalizers, batch, hp, reward_to_go=config.reward_to_go
        )
        if config.normalize_advantage:
            estimates, _ = advantages.over_the_rollout(config, normalizers, estimates, batch)
        statistics = state.normalizers.observation
        old = advantages.old_distribution(networks, Policy(state.params, statistics), batch)
        data = advantages.batch_of(networks, batch, estimates, old)
        vector, unravel = ravel_pytree(state.params["actor"])
        task = problem(statistics, data, unravel)
        new, opt_state, metrics = policy_step(task, vector, state.opt_state, hp)
        fit = advantages.fit_value(
            networks, optimizer, state.params["critic"], state.critic_opt_state, statistics, data, key,
            minibatches.Passes(config.value_iterations, config.value_minibatches),
            learning_rate=hp.critic_learning_rate, max_grad_norm=hp.critic_max_grad_norm,
        )  # fmt: skip
        metrics |= {
            "value_loss": fit.metrics["value_loss"],
            "entropy": across(masked_mean(old.entropy(), batch.valid, config.axis_name)),
            "kl": task.kl(new),
        }
        params = {"actor": unravel(new), "critic": fit.params}
        return State(params, opt_state, fit.opt_state, normalizers), Info(metrics)

    return Algorithm(
        name=name,
        spec=spec,
        config=config,
        hyperparameters=hyperparameters,
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
