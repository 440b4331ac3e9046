"""IMPALA's learner: an actor-critic update of rollouts that an older policy collected, corrected by V-trace.

In the paper many actors fall behind the learner by a few updates. Here the lag is a number: actors get the learner's
parameters every ``policy_period`` updates. With ``surrogate`` it is ``jaxrl.algorithms.appo``: PPO's surrogate of
V-trace's advantages, measured from a copy of the policy that moves more slowly than the learner. Rollouts may be kept,
to learn from them again.

Source: Espeholt et al. 2018, "IMPALA: Scalable distributed deep-RL with importance weighted actor-learner
    architectures" (arXiv 1802.01561); Luo et al. 2020, "IMPACT: Importance weighted asynchronous architectures with
    clipped target networks" (arXiv 1912.00167) for the surrogate and the circular buffer of rollouts. Step size,
    coefficients and bounds are those of RLlib's IMPALA and APPO.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import advantages, minibatches, policy_value
from jaxrl.algorithms.policy_value import Networks, Normalizers, Policy
from jaxrl.buffers import uniform_replay
from jaxrl.losses.policy_gradient import adapt_to_kl, clipped_surrogate, masked_mean
from jaxrl.losses.v_trace import vtrace
from jaxrl.types import Algorithm, Info, Key, OnPolicy, PyTree, Rollout, Spec, Transition
from jaxrl.validation import require, require_positive, require_scalar_reward


@dataclasses.dataclass(frozen=True)
class Config(minibatches.Config, policy_value.Config):
    """What changes the program's shape."""

    num_envs: int = 16
    """Environments stepped side by side."""
    rollout_length: int = 32
    """Steps of each environment between two updates."""
    num_epochs: int = 1
    """Passes over each rollout."""
    num_minibatches: int = 1
    """Parts that each pass is split into, whole rollouts of some environments; must divide ``num_envs``."""
    policy_period: int = 2
    """Updates between two copies of the learner's parameters to the actors; 1 has no lag."""
    surrogate: bool = False
    """Whether the policy climbs a clipped surrogate, measured from a target policy (APPO, IMPACT)."""
    target_period: int = 4
    """Updates between two copies of the learner's parameters to the target policy."""
    kl_penalty: bool = False
    """Whether the divergence from the target policy is penalised; with each new copy to that, the coefficient adapts to
    ``target_kl``."""
    replay_slots: int = 0
    """The last rollouts that are kept, the newest among them; 0 for none."""
    replays: int = 1
    """How many of those, drawn at random, are learned from after each new rollout, if any are kept."""
    separate_optimizers: bool = False
    """Whether the critic has an optimiser, a learning rate and a bound of its gradient of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "policy_period", "target_period", "replays")
        slots = self.replay_slots
        require(isinstance(slots, int) and slots >= 0, "replay_slots", slots, "must be an integer >= 0; 0 keeps none")
        require(slots or self.replays == 1, "replays", self.replays, "needs replay_slots, which are what is replayed")
        require(
            not slots or self.axis_name is None, "replay_slots", slots,
            "must be 0 with axis_name: each device would keep rollouts of its own",
        )  # fmt: skip
        policy_value.require_separable(self)
        require(
            self.surrogate or not self.kl_penalty, "kl_penalty", True, "is the divergence from surrogate=True's target"
        )
        moves = self.target_period > 1 or slots > 0 or self.num_epochs * self.num_minibatches > 1
        require(moves or not self.kl_penalty, "kl_penalty", True, "needs more than one step from each target")
        require(
            self.sequence_length in (None, self.rollout_length), "sequence_length", self.sequence_length,
            "must be none: V-trace needs whole rollouts",
        )  # fmt: skip
        require(not self.normalize_value, "normalize_value", True, "must be false: values change within an update")

    @property
    def num_items(self) -> int:
        """Whole rollouts."""
        return self.num_envs


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 5e-4
    """The optimiser's step size."""
    discount: Any = 0.99
    """gamma"""
    trace_lambda: Any = 1.0
    """lambda: how much of a target comes from later steps."""
    clip_rho: Any = 1.0
    """Bound of the importance weight of a step's own error."""
    clip_c: Any = 1.0
    """Bound of the importance weight by which traces go on."""
    clip_policy_rho: Any = 1.0
    """Bound of the importance weight in the policy's gradient."""
    entropy_coefficient: Any = 0.01
    """Weight of the policy's entropy, which is rewarded."""
    value_coefficient: Any = 0.5
    """Weight of the value's loss, unless the critic has an optimiser of its own."""
    max_grad_norm: Any = 40.0
    """Bound of the gradient's global norm."""
    clip: Any = 0.4
    """Of the surrogate's ratio, around 1."""
    clip_target: Any = 2.0
    """Bound of the ratio of the policy that acted to the target policy, in the surrogate."""
    kl_coefficient: Any = 1.0
    """Weight of the divergence from the target policy at the start."""
    target_kl: Any = 0.01
    """What that divergence is to be, in nats."""
    critic_learning_rate: Any = 5e-4
    """Step size of a critic with an optimiser of its own."""
    critic_max_grad_norm: Any = 40.0
    """Bound of its gradient's norm."""


class State(NamedTuple):
    params: PyTree
    acting: Policy
    """The copy that actors use."""
    target: PyTree
    """The parameters of the target policy; ``()`` without a surrogate."""
    opt_state: optax.OptState
    normalizers: Normalizers
    updates: jax.Array
    """So far, modulo the periods, int32."""
    kl_coefficient: PyTree
    """With a penalty; else ``()``."""
    replay: PyTree
    """The buffer of rollouts; ``()`` without one."""


class _Rollouts(NamedTuple):
    """Items to draw minibatches from, ``[B, T, ...]``, or time-major a minibatch of them."""

    transitions: Transition
    log_prob: jax.Array
    carry: PyTree
    begins: jax.Array | None
    valid: jax.Array | None


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build IMPALA for an environment.

    Args:
        spec: the environment's spaces, as for PPO; rewards must be scalars.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """
    require_scalar_reward("impala", spec)
    networks = policy_value.make_networks(spec, config) if networks is None else networks
    optimizer = policy_value.make_optimizer(config)
    period = math.lcm(config.policy_period, config.target_period if config.surrogate else 1)
    act = policy_value.make_act(networks)
    kept = uniform_replay(_example(networks, act), config.replay_slots) if config.replay_slots else None

    def init(key: Key, hp: Hyperparameters) -> State:
        params, normalizers = networks.init(key), networks.init_normalizers()
        acting = Policy(networks.acting(params), normalizers.observation)
        # A copy, so that both can be donated.
        target = jax.tree.map(jnp.copy, networks.acting(params)) if config.surrogate else ()
        return State(
            params, acting, target, optimizer.init(ravel_pytree(params)[0]), normalizers, jnp.int32(0),
            jnp.asarray(hp.kl_coefficient, jnp.float32) if config.kl_penalty else (),
            kept.init() if kept else (),
        )  # fmt: skip

    def loss(
        params: PyTree, state: State, batch: _Rollouts, normalizers: Normalizers, hp: Hyperparameters
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        t, log_prob, carry, begins, valid = minibatches.time_major(batch)
        policy, frozen = (Policy(p, normalizers.observation) for p in (params, jax.lax.stop_gradient(params)))
        start = jax.tree.map(lambda x: x[0], carry)
        distribution, _, output, after = networks.apply(policy, t.observation, start, begins)
        new_log_prob, value = distribution.log_prob(t.action), networks.value_of(output, normalizers)
        _, next_output = advantages.values(networks, frozen, t, carry)
        if networks.config.recurrent:
            # V-trace takes the value of a successor for that of the next step. From the states that an older policy
            # left they are not the same, so a step inside an episode has that of the sequence unrolled.
            last = jax.tree.map(lambda x: x[-1:], t.next_observation)
            unrolled = jnp.concatenate([output[1:], networks.critic(frozen, last, after, None)])
            ended = (t.terminated | t.truncated).reshape(t.reward.shape + (1,) * (output.ndim - 2))
            next_output = jnp.where(ended, next_output, unrolled)
        log_ratio = corrected_ratio = new_log_prob - log_prob
        if config.surrogate:
            old = networks.actor(Policy(state.target, normalizers.observation), t.observation, start, begins)
            corrected_ratio = old.log_prob(t.action) - log_prob
        corrected = vtrace(
            *jax.lax.stop_gradient((corrected_ratio, t.reward, value, networks.value_of(next_output, normalizers))),
            t.terminated, t.truncated, hp.discount, hp.trace_lambda,
            clip_rho=hp.clip_rho, clip_c=hp.clip_c, clip_policy_rho=hp.clip_policy_rho,
        )  # fmt: skip
        value_loss = advantages.mean_error(networks, networks.value_error(output, corrected.target), valid)
        mean = lambda x: masked_mean(x, valid, config.axis_name)
        per_step = -corrected.advantage * new_log_prob
        if config.surrogate:
            # In logarithms, since a policy far surer than the one that acted makes one factor zero and one infinite.
            ratio = jnp.exp(jnp.minimum(-corrected_ratio, jnp.log(hp.clip_target)) + log_ratio)
            per_step = clipped_surrogate(ratio, corrected.advantage, hp.clip)
        total, metrics = advantages.policy_gradient_loss(
            per_step, value_loss, distribution.entropy(), valid, hp, config.axis_name, config.separate_optimizers
        )
        if config.kl_penalty:
            metrics["kl"] = mean(old.kl_divergence(distribution))
            total += state.kl_coefficient * metrics["kl"]
        return total, {**metrics, "loss": total, "importance_weight": mean(jnp.exp(log_ratio))}

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        normalizers = advantages.observe_rewards(networks, state.normalizers, batch, hp.discount)
        # Whose statistics acted, lest the ratio of an unchanged policy be another than 1.
        fixed = normalizers._replace(observation=state.acting.observation)
        carry = batch.extras.get("carry", ())
        data = _Rollouts(
            batch.transitions, batch.extras["log_prob"], carry, advantages.begins(config, batch), batch.valid
        )
        data, replay = minibatches.time_major(data), state.replay

        def learn(carry: tuple[PyTree, optax.OptState], inputs: tuple[_Rollouts, Key]) -> tuple[tuple, dict]:
            rollouts, key = inputs
            reward = advantages.scaled_reward(networks, normalizers, rollouts.transitions.reward)
            rollouts = rollouts._replace(transitions=rollouts.transitions._replace(reward=reward))
            descent = minibatches.descend(
                lambda params, minibatch: loss(params, state, minibatch, fixed, hp),
                optimizer, *carry, rollouts, key, config.passes, axis_name=config.axis_name,
                valid=lambda minibatch: minibatch.valid, **policy_value.descent_rates(config, state.params, hp),
            )  # fmt: skip
            return (descent.params, descent.opt_state), descent.metrics

        start = state.params, state.opt_state
        if kept is None:
            (params, opt_state), metrics = learn(start, (data, key))
        else:
            new = jax.tree.map(lambda x: x[None], _with_mask(data))
            replay = kept.add(replay, new)
            sample_key, *keys = jax.random.split(key, 2 + config.replays)
            old = kept.sample(replay, sample_key, config.replays).transitions
            several = jax.tree.map(lambda *x: jnp.concatenate(x), new, old)
            (params, opt_state), metrics = jax.lax.scan(learn, start, (several, jnp.stack(keys)))
            metrics = jax.tree.map(jnp.mean, metrics)
        normalizers = advantages.observe(networks, normalizers, batch)
        updates, coefficient = (state.updates + 1) % period, state.kl_coefficient
        if config.kl_penalty:
            # After a new copy the policy is still near to its target, and after the last steps from one the farthest.
            adapted = adapt_to_kl(coefficient, metrics["kl"], hp.target_kl, above=1.5, below=0.5)
            coefficient = jnp.where(updates % config.target_period == 0, adapted, coefficient)
            metrics |= {"kl_coefficient": coefficient}
        fresh = Policy(networks.acting(params), normalizers.observation)
        copy = lambda period, new, old: jax.tree.map(lambda n, o: jnp.where(updates % period == 0, n, o), new, old)
        acting = copy(config.policy_period, fresh, state.acting)
        target = copy(config.target_period, fresh.params, state.target) if config.surrogate else ()
        return State(params, acting, target, opt_state, normalizers, updates, coefficient, replay), Info(metrics)

    return Algorithm(
        name="impala",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length, kept),
        init=init,
        policy=lambda state: state.acting,
        evaluation_policy=lambda state: state.acting._replace(params=networks.acting(state.params)),
        act=act,
        update=update,
        value=lambda state, observation: networks.value(
            state.params, state.normalizers._replace(observation=state.acting.observation), observation
        ),
        initial_carry=networks.initial_carry,
        reset_carry=config.rnn_reset,
        interrupt=policy_value.interrupt,
    )


def _with_mask(rollouts: _Rollouts) -> _Rollouts:
    """Kept rollouts have a mask, since it is not known beforehand whether an environment's do."""
    mask = jnp.ones(rollouts.log_prob.shape, bool) if rollouts.valid is None else rollouts.valid.astype(bool)
    return rollouts._replace(valid=mask)


def _example(networks: Networks, act: Any) -> _Rollouts:
    """The shapes of a rollout as it is kept, ``[B, T, ...]``."""
    spec, config = networks.spec, networks.config
    shape = config.num_envs, config.rollout_length

    def of_one_step(key: Key) -> tuple[PyTree, PyTree, jax.Array]:
        policy = Policy(networks.init(key), networks.init_normalizers().observation)
        observation = jax_spaces.zeros(spec.observation_space, (config.num_envs,))
        carry = networks.initial_carry(config.num_envs)
        action, _, extras = act(policy, observation, carry, key, None)
        return action, carry, extras["log_prob"]

    struct_of = lambda x: jax.ShapeDtypeStruct((*shape, *x.shape[1:]), x.dtype)
    action, carry, log_prob = jax.tree.map(struct_of, jax.eval_shape(of_one_step, jax.random.key(0)))
    scalar = lambda dtype: jax.ShapeDtypeStruct(shape, dtype)
    observation = jax_spaces.shapes(spec.observation_space, shape)
    begins = scalar(bool) if config.recurrent and config.rnn_reset else None
    transitions = Transition(observation, action, scalar(jnp.float32), scalar(bool), scalar(bool), observation)
    return _Rollouts(transitions, log_prob, carry, begins, scalar(bool))
