"""The four dialects of PPO: what each adds up, against NumPy transcriptions of the sources' arithmetic."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import normalization, observations
from jaxrl.algorithms import advantages, ppo
from jaxrl.algorithms.advantages import Steps
from jaxrl.algorithms.policy_value import Policy, make_networks
from jaxrl.counters import Counter
from jaxrl.experiment import presets
from jaxrl.networks.distributions import Categorical, DiagonalGaussian
from jaxrl.types import Rollout, Spec, Transition

N = 24
BOX = Spec("test", spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (3,)))


def preset(name):
    chosen = presets.PRESETS[f"ppo/{name}"]
    numbers = {k: v for k, v in chosen.hyperparameters.items() if isinstance(v, float)}
    return ppo.Config(**chosen.config), ppo.Hyperparameters(**numbers)


@pytest.fixture
def data(rng):
    """A minibatch with a policy that has moved, in float64."""
    mean, old_mean = rng.normal(0, 1.0, (2, N, 3))
    log_std, old_log_std = (np.broadcast_to(x, (N, 3)) for x in rng.normal(0, 0.3, (2, 3)))
    mean = old_mean + 0.3 * mean
    action = old_mean + np.exp(old_log_std) * rng.normal(size=(N, 3))
    advantage, value, old_value, target = rng.normal(0, 2.0, (4, N))
    return types.SimpleNamespace(**{k: v for k, v in locals().items() if k != "rng"})


def gaussian_log_prob(action, mean, log_std):
    return (-0.5 * ((action - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)).sum(-1)


def gaussian_kl(mean0, log_std0, mean1, log_std1):
    """KL of the first from the second."""
    s0, s1 = np.exp(log_std0), np.exp(log_std1)
    return (np.log(s1 / s0) + (s0**2 + (mean1 - mean0) ** 2) / (2 * s1**2) - 0.5).sum(-1)


def ours(config, hp, d, kl_coefficient=()):
    """The loss of the actor, its metrics, and the loss of the critic."""
    single = lambda x: jnp.asarray(x, jnp.float32)
    old = DiagonalGaussian(single(d.old_mean), single(d.old_log_std))
    steps = Steps(
        None, single(d.action), old.log_prob(single(d.action)), single(d.advantage), single(d.old_value),
        single(d.target), None, None, old,
    )  # fmt: skip
    policy = DiagonalGaussian(single(d.mean), single(d.log_std))
    total, metrics = ppo.policy_loss(config, policy, steps, kl_coefficient, hp)
    return total, metrics, ppo.value_loss(make_networks(BOX, config), config, single(d.value), steps, hp)


def ratio_of(d):
    return np.exp(
        gaussian_log_prob(d.action, d.mean, d.log_std) - gaussian_log_prob(d.action, d.old_mean, d.old_log_std)
    )


def test_spinning_up(data):
    # ppo.py: loss_pi = -(min(ratio * adv, clip(ratio, 1 - c, 1 + c) * adv)).mean(); kl = (logp_old - logp).mean();
    # the buffer gives adv = (adv - mean) / std; loss_v = ((v - ret) ** 2).mean(), whose optimiser is Adam.
    config, hp = preset("spinningup")
    total, metrics, value_loss = ours(config, hp, data)
    advantage = (data.advantage - data.advantage.mean()) / data.advantage.std()
    ratio = ratio_of(data)
    clipped = np.clip(ratio, 0.8, 1.2) * advantage
    np.testing.assert_allclose(total, -np.minimum(ratio * advantage, clipped).mean(), rtol=1e-5)
    np.testing.assert_allclose(-metrics["mean_log_ratio"], -np.log(ratio).mean(), rtol=1e-4)
    np.testing.assert_allclose(2 * value_loss, ((data.value - data.target) ** 2).mean(), rtol=1e-5)
    # It stops before the first step at which kl > 1.5 * target_kl.
    steering = ppo.control(config, None, hp)
    state, _, go = steering.step(steering.state, {"mean_log_ratio": jnp.float32(-0.0149)}, jnp.array(True))
    assert go
    state, _, go = steering.step(state, {"mean_log_ratio": jnp.float32(-0.0151)}, jnp.array(True))
    assert not go
    assert not steering.step(state, {"mean_log_ratio": jnp.float32(0.0)}, jnp.array(True))[2]


def test_rllib(data):
    # ppo_torch_policy.py: mean(-surrogate + kl_coeff * kl(prev, curr) + vf_coeff * clamp((v - t)^2, 0, vf_clip) - ...).
    config, hp = preset("rllib")
    total, metrics, value_loss = ours(config, hp, data, kl_coefficient=hp.kl_coefficient)
    ratio = ratio_of(data)
    advantage = data.advantage
    surrogate = np.minimum(advantage * ratio, advantage * np.clip(ratio, 1 - 0.3, 1 + 0.3))
    kl = gaussian_kl(data.old_mean, data.old_log_std, data.mean, data.log_std)
    value = np.clip((data.value - data.target) ** 2, 0, 10.0)
    np.testing.assert_allclose(metrics["old_kl"], kl.mean(), rtol=1e-5)
    want = (-surrogate + 0.2 * kl + 0.01 * value).mean()
    np.testing.assert_allclose(total + hp.value_coefficient * value_loss, want, rtol=1e-5)


@pytest.mark.parametrize(("kl", "want"), [(0.0201, 0.3), (0.0199, 0.2), (0.0051, 0.2), (0.0049, 0.1)])
def test_rllibs_coefficient(kl, want):
    # update_kl: if sampled_kl > 2 * kl_target: coeff *= 1.5, elif sampled_kl < 0.5 * kl_target: coeff *= 0.5.
    got = ppo.adapt_to_kl(jnp.float32(0.2), kl, 0.01, above=1.5, below=0.5)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_rl_games(data):
    # a2c_continuous.py: loss = a_loss + 0.5 * c_loss * critic_coef - entropy * entropy_coef + b_loss * bounds_loss_coef
    config, hp = preset("rl_games")
    total, metrics, value_loss = ours(config, hp, data)
    ratio, advantage, clip = ratio_of(data), data.advantage, 0.2
    low, high = 1 - clip, 1 + clip
    smooth = 1 / (1 + np.exp((-(ratio - low) / (high - low) + 0.5) * 4)) * (high - low) + low
    a_loss = np.maximum(-advantage * ratio, -advantage * smooth).mean()
    c_loss = ((data.target - data.value) ** 2).mean()
    b_loss = (np.maximum(data.mean - 1.1, 0) ** 2 + np.minimum(data.mean + 1.1, 0) ** 2).sum(-1).mean()
    want = a_loss + 0.5 * c_loss * 4.0 + b_loss * 1e-4
    np.testing.assert_allclose(total + hp.value_coefficient * value_loss, want, rtol=1e-5)
    # policy_kl(mu, sigma, old_mu, old_sigma), but for the 1e-5 that it adds to deviations.
    kl = gaussian_kl(data.mean, data.log_std, data.old_mean, data.old_log_std).mean()
    np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-5)


def rates(adaptive, kls, num_minibatches=2):
    config = ppo.Config(adaptive_learning_rate=adaptive, num_minibatches=num_minibatches)
    hp = ppo.Hyperparameters(learning_rate=1e-3, target_kl=0.008, max_learning_rate=2e-3)
    state = types.SimpleNamespace(learning_rate=jnp.float32(1e-3))
    steering = ppo.control(config, state, hp)
    used, s = [], steering.state
    for i, kl in enumerate(kls):
        s, rate, go = steering.step(s, {"kl": jnp.float32(kl)}, jnp.array((i + 1) % num_minibatches == 0))
        assert go
        used.append(float(rate))
    return [*used, float(s.learning_rate)]


def test_rl_games_normalisers(rng):
    """Its ``RunningMeanStd``: of observations, and of values and returns one after the other, within 5 deviations."""

    class RunningMeanStd:
        def __init__(self, shape=()):
            self.mean, self.var, self.count = np.zeros(shape), np.ones(shape), 1.0

        def update(self, x):
            mean, var, count = x.mean(0), x.var(0, ddof=1), len(x)
            delta, total = mean - self.mean, self.count + count
            self.mean = self.mean + delta * count / total
            m2 = self.var * self.count + var * count + delta**2 * self.count * count / total
            self.var, self.count = m2 / total, total

        def normalize(self, x):
            return np.clip((x - self.mean) / np.sqrt(self.var + 1e-5), -5.0, 5.0)

        def undo(self, y):
            return np.sqrt(self.var + 1e-5) * np.clip(y, -5.0, 5.0) + self.mean

    config, _ = preset("rl_games")
    config = dataclasses.replace(config, rollout_length=4_096)
    networks = make_networks(BOX, config)
    x = rng.normal(3.0, 2.0, size=(4_096, 16, 2)).astype(np.float32)
    x[0, 0] = 100.0
    # So many that the item it begins with, which ours do not, is lost among them.
    known, flat = RunningMeanStd(2), x.reshape(-1, 2)
    known.update(flat)
    statistics = jax.jit(normalization.update)(normalization.init(x[0, 0]), x)
    clip = config.observation_clip
    np.testing.assert_allclose(
        observations.normalized(BOX.observation_space, x, statistics, clip=clip).reshape(-1, 2), known.normalize(flat),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip

    reward = rng.normal(size=(4_096, 16)).astype(np.float32)
    ends = rng.random((4_096, 16)) < 0.1
    transitions = Transition(x, np.zeros((4_096, 16, 3)), reward, ends, np.zeros_like(ends), x)
    known = normalization.Statistics(Counter.of(90_000), jnp.float32(0.3), jnp.float32(4.0))
    before = networks.init_normalizers()._replace(value=known)
    params = jax.jit(networks.init)(jax.random.key(0))
    hp = ppo.Hyperparameters(discount=0.99, gae_lambda=0.95)
    estimate = jax.jit(lambda *args: advantages.estimate(networks, *args, hp))
    got, after = estimate(params, before, Rollout(transitions, {}, ()))
    theirs = RunningMeanStd()
    theirs.mean, theirs.var, theirs.count = 0.3, 4.0, 9e4
    raw, _ = advantages.values(networks, Policy(params, before.observation), transitions, ())
    value = theirs.undo(np.asarray(raw))
    target = value + np.asarray(got.advantage)
    theirs.update(value.ravel())
    np.testing.assert_allclose(got.value, theirs.normalize(value), rtol=1e-3, atol=1e-3)
    theirs.update(target.ravel())
    np.testing.assert_allclose(got.target, theirs.normalize(target), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(after.value.mean, theirs.mean, rtol=1e-4)
    np.testing.assert_allclose(after.value.variance, theirs.var, rtol=1e-4)
    extreme = networks.value_of(jnp.array([-80.0, 80.0]), after)
    np.testing.assert_allclose(extreme, theirs.undo(np.array([-80.0, 80.0])), rtol=1e-3)


def test_rl_games_learning_rate():
    # AdaptiveScheduler: kl > 2 * threshold: max(lr / 1.5, min_lr); kl < 0.5 * threshold: min(lr * 1.5, max_lr).
    high, middle, low = 0.0161, 0.008, 0.0039
    np.testing.assert_allclose(
        rates("minibatch", [low, low, high, middle]), [1e-3, 1.5e-3, 2e-3, 2e-3 / 1.5, 2e-3 / 1.5], rtol=1e-5
    )
    # The mean over an epoch's two minibatches decides: 0.0085, then 0.0191.
    np.testing.assert_allclose(
        rates("epoch", [0.0, 0.017, 0.0221, 0.0161]), [1e-3, 1e-3, 1e-3, 1e-3, 1e-3 / 1.5], rtol=1e-5
    )
    np.testing.assert_allclose(rates("iteration", [low, low]), [1e-3, 1e-3, 1e-3], rtol=1e-5)


def test_cleanrl_and_stable_baselines3(data):
    # ppo.py of CleanRL: pg_loss - ent_coef * entropy + v_loss * vf_coef, with clip_vloss and norm_adv.
    config, hp = preset("cleanrl-classic-control")
    total, metrics, value_loss = ours(config, hp, data)
    advantage = (data.advantage - data.advantage.mean()) / (data.advantage.std() + 1e-8)
    ratio = ratio_of(data)
    pg_loss = np.maximum(-advantage * ratio, -advantage * np.clip(ratio, 0.8, 1.2)).mean()
    clipped = data.old_value + np.clip(data.value - data.old_value, -0.2, 0.2)
    v_loss = 0.5 * np.maximum((data.value - data.target) ** 2, (clipped - data.target) ** 2).mean()
    entropy = (0.5 + 0.5 * np.log(2 * np.pi) + data.log_std).sum(-1).mean()
    np.testing.assert_allclose(
        total + hp.value_coefficient * value_loss, pg_loss - 0.01 * entropy + 0.5 * v_loss, rtol=1e-5
    )
    np.testing.assert_allclose(metrics["approximate_kl"], (ratio - 1 - np.log(ratio)).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["clip_fraction"], (np.abs(ratio - 1) > 0.2).mean(), rtol=1e-6)

    # ppo.py of Stable-Baselines3: value_loss = F.mse_loss(returns, values), with vf_coef 0.5 and no clip_range_vf.
    config, hp = preset("zoo-cartpole")
    total, _, value_loss = ours(config, hp, data)
    pg_loss = -np.minimum(advantage * ratio, advantage * np.clip(ratio, 0.8, 1.2)).mean()
    want = pg_loss + 0.5 * ((data.value - data.target) ** 2).mean()
    np.testing.assert_allclose(total + hp.value_coefficient * value_loss, want, rtol=1e-5)


def test_a_categorical_policy_has_the_same_loss(data, rng):
    logits, old_logits = rng.normal(size=(2, N, 4)).astype(np.float32)
    action = rng.integers(0, 4, N)
    config, hp = preset("zoo-cartpole")
    old = Categorical(jnp.asarray(old_logits))
    advantage = jnp.asarray(data.advantage, jnp.float32)
    steps = Steps(None, action, old.log_prob(action), advantage, None, None, None, None, old)
    total, _ = jax.jit(lambda x: ppo.policy_loss(config, Categorical(x), steps, (), hp))(logits)
    softmax = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    ratio = softmax(logits)[np.arange(N), action] / softmax(old_logits)[np.arange(N), action]
    a = (data.advantage - data.advantage.mean()) / data.advantage.std()
    np.testing.assert_allclose(total, -np.minimum(a * ratio, a * np.clip(ratio, 0.8, 1.2)).mean(), rtol=1e-4)
