"""Every algorithm against the probing environments, whose exact values are known."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jaxrl import training
from jaxrl.algorithms import (
    a2c,
    a3c,
    appo,
    c51,
    crossq,
    ddpg,
    dqn,
    droq,
    impala,
    iqn,
    munchausen_dqn,
    npg,
    ppo,
    pqn,
    qr_dqn,
    rainbow,
    redq,
    rnd,
    sac,
    sac_discrete,
    td3,
    tqc,
    trpo,
    vpg,
)
from jaxrl.envs import probes
from jaxrl.schedules import linear

pytestmark = pytest.mark.usefixtures("optimized")
OPTIMIZED = False
"""These train for a few seconds, less than the optimisations take."""
DISCOUNT = 0.9


def make_ppo(spec, **switches):
    config = ppo.Config(
        num_envs=8, rollout_length=16, num_epochs=4, num_minibatches=2, hidden_sizes=(16,), clip_value_loss=False,
        **switches,
    )  # fmt: skip
    hp = ppo.Hyperparameters(learning_rate=linear(1e-2, 0.0, fraction=1.0), discount=DISCOUNT, entropy_coefficient=0.0)
    return ppo.make(spec, config), hp, 16_000


def make_rnd(spec):
    agent, hp, steps = make_ppo(spec)
    config = rnd.Config(**dataclasses.asdict(agent.config))
    return rnd.make(spec, config), rnd.Hyperparameters(**vars(hp), intrinsic_coefficient=0.1), steps


def make_ppo_dialect(spec, hp=None, steps=16_000, **switches):
    agent, default, _ = make_ppo(spec, **switches)
    return agent, default.replace(**(hp or {})), steps


def make_fitted(module, spec, hp=None, **switches):
    """A policy step on each rollout, and a value fitted to it."""
    config = module.Config(
        num_envs=8, rollout_length=16, hidden_sizes=(16,), value_iterations=20, value_minibatches=2, **switches
    )
    rate = linear(1e-2, 0.0, fraction=1.0)
    hyperparameters = module.Hyperparameters(
        discount=DISCOUNT, gae_lambda=0.95, critic_learning_rate=rate, **(hp or {"max_kl": 0.03})
    )
    return module.make(spec, config), hyperparameters, 16_000


def make_one_step(module, spec, **switches):
    """One gradient step on each rollout."""
    config = module.Config(num_envs=8, rollout_length=8, hidden_sizes=(16,), optimizer="adam", **switches)
    hp = module.Hyperparameters(
        learning_rate=linear(1e-2, 0.0, fraction=1.0), discount=DISCOUNT, entropy_coefficient=0.0
    )
    return module.make(spec, config), hp, 48_000


def make_pqn(spec):
    config = pqn.Config(num_envs=8, rollout_length=16, num_epochs=4, num_minibatches=2, hidden_sizes=(16,))
    hp = pqn.Hyperparameters(learning_rate=linear(1e-2, 0.0, fraction=1.0), discount=DISCOUNT, epsilon=0.5)
    # Its optimiser starts slowly, and values spread without a replay buffer.
    return pqn.make(spec, config), hp, 128_000


def make_member(module, spec, hp=None, **switches):
    """One of the value-based family."""
    config = module.Config(
        num_envs=4, hidden_sizes=(16,), batch_size=64, buffer_size=2048, prefill=256, steps_per_update=4,
        updates_per_iteration=4, target_update_period=20, adam_epsilon=1e-8, **switches,
    )  # fmt: skip
    hyperparameters = module.Hyperparameters(
        learning_rate=linear(1e-2, 0.0, fraction=1.0), discount=DISCOUNT, epsilon=0.5, tau=0.1, **(hp or {})
    )
    return module.make(spec, config), hyperparameters, 12_000


def make_actor_critic(module, spec, hp=None, **switches):
    """One of the actor-critics on a buffer, whose entropy hardly counts."""
    fixed = {} if module in (ddpg, td3) else {"learn_temperature": False}
    config = module.Config(
        **{"num_envs": 4, "hidden_sizes": (32, 32), "critic_sizes": (32, 32), "batch_size": 64, "buffer_size": 2048,
           "prefill": 256, "steps_per_update": 4, "updates_per_iteration": 4, "policy_delay": 2, **fixed, **switches}
    )  # fmt: skip
    rewarded = {"noise_scale": 0.5} if module in (ddpg, td3) else {"temperature": 0.01}
    hyperparameters = module.Hyperparameters(
        actor_learning_rate=linear(3e-3, 0.0, fraction=1.0), critic_learning_rate=linear(1e-2, 0.0, fraction=1.0),
        discount=DISCOUNT, tau=0.1, **{"epsilon": 0.5, **rewarded, **(hp or {})},
    )  # fmt: skip
    return module.make(spec, config), hyperparameters, 12_000


VARIANTS = {
    "ppo": make_ppo,
    "ppo-shared-torso": functools.partial(make_ppo, shared_torso=True),
    "ppo-lstm": functools.partial(make_ppo, actor_rnn="lstm", critic_rnn="lstm", rnn_size=8, sequence_length=8),
    "ppo-gru-critic": functools.partial(make_ppo, critic_rnn="gru", rnn_size=8),
    "ppo-normalised": functools.partial(
        make_ppo, normalize_observation=True, normalize_value=True, advantage_scope="rollout"
    ),
    # Its logits have far to go.
    "ppo-two-hot": functools.partial(make_ppo_dialect, steps=64_000, value_head="two_hot", num_bins=101),
    "ppo-kl-penalty": functools.partial(make_ppo, kl_penalty=True, bound_value_loss=True),
    "ppo-adaptive": functools.partial(
        make_ppo_dialect, hp={"learning_rate": 3e-3, "max_learning_rate": 5e-3}, adaptive_learning_rate="epoch",
        smooth_clamp=True,
    ),
    "ppo-separate": functools.partial(
        make_ppo_dialect, hp={"critic_learning_rate": linear(1e-2, 0.0, fraction=1.0)}, separate_optimizers=True,
        kl_stop="k3", critic_epochs=4, critic_minibatches=2,
    ),
    "rnd": make_rnd,
    "a2c": functools.partial(make_one_step, a2c),
    "a3c": functools.partial(make_one_step, a3c, num_workers=4),
    "impala": functools.partial(make_one_step, impala),
    "appo": functools.partial(make_one_step, appo, kl_penalty=True, replay_slots=2),
    "impala-lstm": functools.partial(make_one_step, impala, actor_rnn="lstm", critic_rnn="lstm", rnn_size=8),
    "vpg": functools.partial(make_fitted, vpg, hp={"learning_rate": linear(2e-2, 0.0, fraction=1.0)}),
    "npg": functools.partial(make_fitted, npg),
    "trpo": functools.partial(make_fitted, trpo),
    "pqn": make_pqn,
    "dqn": functools.partial(make_member, dqn, double_q=False),
    "dqn-double-dueling": functools.partial(make_member, dqn, dueling=True, loss="mse"),
    "dqn-polyak": functools.partial(make_member, dqn, target_update="polyak"),
    "dqn-noisy": functools.partial(make_member, dqn, noise="factorised", head_sizes=(16,)),
    "dqn-independent-noise": functools.partial(make_member, dqn, noise="independent"),
    "dqn-prioritized-3-step": functools.partial(make_member, dqn, prioritized=True, n_step=3),
    "c51": functools.partial(make_member, c51, v_min=-2.0, v_max=12.0),
    "c51-prioritized": functools.partial(make_member, c51, v_min=-2.0, v_max=12.0, prioritized=True),
    "qr_dqn": functools.partial(make_member, qr_dqn, num_quantiles=21),
    "qr_dqn-prioritized-3-step": functools.partial(make_member, qr_dqn, num_quantiles=21, prioritized=True, n_step=3),
    "iqn": functools.partial(make_member, iqn, online_samples=8, target_samples=8, policy_samples=8, num_cosines=16),
    "rainbow": functools.partial(make_member, rainbow, v_min=-2.0, v_max=12.0),
    "rainbow-of-means": functools.partial(make_member, rainbow, distributional=False),
    "munchausen_dqn": functools.partial(make_member, munchausen_dqn, hp={"entropy_temperature": 0.003}),
    "sac_discrete": functools.partial(make_actor_critic, sac_discrete),
    "sac_discrete-prioritized-3-step": functools.partial(make_actor_critic, sac_discrete, prioritized=True, n_step=3),
}
THOROUGH = (
    "ppo", "a2c", "a3c", "impala", "vpg", "npg", "trpo", "pqn",
    "dqn", "c51", "qr_dqn", "iqn", "rainbow", "munchausen_dqn", "sac_discrete",
)  # fmt: skip
RECURRENT = ("ppo-lstm", "ppo-gru-critic", "impala-lstm")
DISCRETE = {
    "constant_reward": probes.constant_reward,
    "reward_from_observation": probes.reward_from_observation,
    "two_steps": probes.two_steps,
    "reward_from_action": probes.reward_from_action,
    "reward_from_both": probes.reward_from_both,
    "truncation": probes.truncation,
}
CONTINUOUS = {
    "two_steps": functools.partial(probes.two_steps, continuous=True),
    "reward_from_action": probes.reward_from_continuous_action,
    "reward_from_both": probes.reward_from_both_continuous,
    "truncation": functools.partial(probes.truncation, continuous=True),
}
REPLAYED = {"prioritized": True, "n_step": 3}
CONTINUOUS_VARIANTS = {
    "ddpg": functools.partial(make_actor_critic, ddpg),
    "ddpg-lillicrap": functools.partial(
        make_actor_critic, ddpg, exploration="ornstein_uhlenbeck", action_layers=(1,), output_bound=3e-3,
    ),
    "ddpg-prioritized-3-step": functools.partial(make_actor_critic, ddpg, **REPLAYED),
    "td3": functools.partial(make_actor_critic, td3),
    "td3-prioritized-3-step": functools.partial(make_actor_critic, td3, **REPLAYED),
    "sac": functools.partial(make_actor_critic, sac),
    "sac-learnt-temperature": functools.partial(
        make_actor_critic, sac, learn_temperature=True, hp={"target_entropy": -3.0, "temperature_learning_rate": 1e-2}
    ),
    "sac-state-value": functools.partial(make_actor_critic, sac, state_value=True),
    "sac-normalized": functools.partial(make_actor_critic, sac, normalize_observation=True),
    "sac-prioritized-3-step": functools.partial(make_actor_critic, sac, **REPLAYED),
    "tqc": functools.partial(make_actor_critic, tqc, num_quantiles=5, drop_quantiles=1),
    "tqc-prioritized-3-step": functools.partial(make_actor_critic, tqc, num_quantiles=5, drop_quantiles=1, **REPLAYED),
    "redq": functools.partial(make_actor_critic, redq, num_critics=4),
    "droq": functools.partial(make_actor_critic, droq),
    "crossq": functools.partial(make_actor_critic, crossq),
}  # fmt: skip
QUICK_CONTINUOUS = {"td3": "two_steps"}
"""The learning tests see all others."""


def check(make, probe, tolerance):
    agent, hp, total_steps = make(probe.env.spec)
    train = training.make_train(agent, probe.env, total_steps, num_intervals=1, eval_episodes=4)
    state = jax.jit(train)(jax.random.key(0), hp).agent
    np.testing.assert_allclose(agent.value(state, probe.observations), probe.expected_value(DISCOUNT), atol=tolerance)
    if probe.best_action is not None:
        policy, carry = agent.policy(state), agent.initial_carry(len(probe.observations))
        action, _, _ = agent.act(policy, probe.observations, carry, jax.random.key(0), hp, explore=False)
        np.testing.assert_allclose(action, probe.best_action, atol=0.15)


# What does not depend on a switch is shown by the plain variant. Compilation is the cost: the quick tests see one of
# each way to be fed, the learning tests all.
ALL = [
    (v, p)
    for v in VARIANTS
    for p in DISCRETE
    if (v in THOROUGH or p in ("two_steps", "reward_from_both", "truncation"))
    # `value` is that of an episode's beginning, which the second of two steps is not.
    and not (v in RECURRENT and p == "two_steps")
]
QUICK = [("ppo", "truncation"), ("dqn", "truncation")]


def exact_value(variant, probe):
    # An algorithm that stops at the time limit finds less than 5 of the 10.
    check(VARIANTS[variant], DISCRETE[probe](), tolerance=1.0 if probe == "truncation" else 0.1)


@pytest.mark.parametrize(("variant", "probe"), QUICK)
def test_the_exact_value(variant, probe):
    exact_value(variant, probe)


@pytest.mark.learning
@pytest.mark.parametrize(("variant", "probe"), sorted({*ALL} - {*QUICK}))
def test_the_exact_value_in_every_combination(variant, probe):
    exact_value(variant, probe)


@pytest.mark.learning
@pytest.mark.parametrize("probe", [p for p in CONTINUOUS if p != "truncation"])
def test_the_exact_value_with_continuous_actions(probe):
    check(make_ppo, CONTINUOUS[probe](), tolerance=0.15)


def exact_value_of_an_actor_critic(variant, probe):
    check(CONTINUOUS_VARIANTS[variant], CONTINUOUS[probe](), tolerance=1.0 if probe == "truncation" else 0.15)


@pytest.mark.parametrize(("variant", "probe"), QUICK_CONTINUOUS.items())
def test_the_exact_value_of_each_actor_critic(variant, probe):
    exact_value_of_an_actor_critic(variant, probe)


@pytest.mark.learning
@pytest.mark.parametrize(
    ("variant", "probe"), [(v, p) for v in CONTINUOUS_VARIANTS for p in CONTINUOUS if QUICK_CONTINUOUS.get(v) != p]
)
def test_the_exact_value_of_every_actor_critic_in_every_combination(variant, probe):
    exact_value_of_an_actor_critic(variant, probe)


@pytest.mark.learning
@pytest.mark.parametrize("probe", CONTINUOUS)
@pytest.mark.parametrize("variant", ["a2c", "vpg", "trpo", "npg", "impala"])
def test_the_exact_value_with_continuous_actions_in_the_family(variant, probe):
    check(VARIANTS[variant], CONTINUOUS[probe](), tolerance=0.2)


@pytest.mark.learning
@pytest.mark.parametrize("probe", CONTINUOUS)
def test_the_exact_value_with_a_beta_distribution(probe):
    check(functools.partial(make_ppo, continuous="beta"), CONTINUOUS[probe](), tolerance=0.2)
