"""Networks of the policy-gradient family, and the configurations that they refuse."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import normalization
from jaxrl.algorithms import policy_value, ppo
from jaxrl.algorithms.policy_value import Policy
from jaxrl.envs import toys
from jaxrl.types import Spec

CONFIG = policy_value.Config(num_envs=3, rollout_length=8, hidden_sizes=(4,), rnn_size=3)


def spec_of(observation):
    return Spec("test", observation, spaces.Discrete(3))


def replaced(**changes):
    return dataclasses.replace(CONFIG, **changes)


def test_only_the_critic_sees_what_is_privileged(key):
    space = spaces.Dict(privileged=spaces.Box(-9, 9, (3,)), x=spaces.Box(-9, 9, (2,)))
    networks = policy_value.make_networks(spec_of(space), CONFIG)
    policy = Policy(networks.init(key), ())
    one, other = ({"privileged": jnp.full((1, 3), v), "x": jnp.ones((1, 2))} for v in (0.0, 1.0))
    a, b = (networks.apply(policy, o, (), None) for o in (one, other))
    np.testing.assert_array_equal(a.distribution.logits, b.distribution.logits)
    assert a.value != b.value
    with pytest.raises(ValueError, match="shared_torso"):
        policy_value.make_networks(spec_of(space), replaced(shared_torso=True))


@pytest.mark.parametrize("recurrent", [{}, {"actor_rnn": "gru", "critic_rnn": "gru"}], ids=["plain", "recurrent"])
def test_sizes_of_the_critic_and_switches_of_dense_layers(key, recurrent):
    config = replaced(hidden_sizes=(4, 6), critic_sizes=(5,), layer_norm=True, d2rl=True, **recurrent)
    params = policy_value.make_networks(spec_of(spaces.Box(-9, 9, (2,))), config).init(key)
    shapes = lambda tree: sorted(x.shape for path, x in jax.tree.leaves_with_path(tree) if "MLP" in str(path))
    kernels = lambda side: [s for s in shapes(params[side]) if len(s) == 2]
    # The second layer is given the first's input of 2 as well.
    assert kernels("actor") == [(2, 4), (6, 6)]
    assert kernels("critic") == [(2, 5)]
    # Bias, scale and bias of the normalisation, for each layer.
    assert [s for s in shapes(params["actor"]) if len(s) == 1] == [(4,)] * 3 + [(6,)] * 3


def test_pixels_are_normalised_by_their_own_statistics(key, rng):
    """Like floats that were normalised before, which are not divided by 255."""
    spec = toys.mixture().spec
    switches = {"normalize_observation": True, "normalize_images": True, "shared_torso": True}
    networks = policy_value.make_networks(spec, policy_value.Config(**switches))
    plain = policy_value.make_networks(spec, policy_value.Config(shared_torso=True))
    seen = {"image": rng.integers(0, 255, (50, 6, 6, 1)).astype(np.uint8), "number": rng.normal(size=(50, 1))}
    seen["number"] = seen["number"].astype(np.float32)
    statistics = normalization.update(networks.init_normalizers().observation, seen)
    params = networks.init(key)
    normal = {name: (x - x.mean(0)) / x.std(0) for name, x in seen.items()}
    got, _ = networks.act(Policy(params, statistics), seen, ())
    want, _ = plain.act(Policy(params, ()), jax.tree.map(jnp.float32, normal), ())
    other, _ = plain.act(Policy(params, ()), seen, ())
    actions = {"number": jnp.zeros((50, 1)), "side": jnp.zeros(50, jnp.int32)}
    np.testing.assert_allclose(got.log_prob(actions), want.log_prob(actions), rtol=1e-3, atol=1e-4)
    assert np.abs(got.log_prob(actions) - other.log_prob(actions)).max() > 1e-3


def test_acting_tells_the_log_probability_of_the_action_taken(key):
    networks = policy_value.make_networks(spec_of(spaces.Box(-9, 9, (2,))), CONFIG)
    policy, observation = Policy(networks.init(key), ()), jnp.ones((16, 2))
    act = jax.jit(policy_value.make_act(networks), static_argnames="explore")
    action, _, extras = act(policy, observation, (), jax.random.key(1), None)
    logits = np.asarray(networks.act(policy, observation, ())[0].logits, np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(extras["log_prob"], log_probs[np.arange(16), action], rtol=1e-4)
    assert len(set(np.asarray(action))) > 1
    np.testing.assert_array_equal(
        act(policy, observation, (), jax.random.key(1), None, explore=False)[0], logits.argmax(-1)
    )


def test_an_interruption_clears_the_sums_of_rewards_alone():
    class State(NamedTuple):
        normalizers: policy_value.Normalizers

    before = policy_value.Normalizers((), jnp.float32(3.0), jnp.ones(4), ())
    after = policy_value.interrupt(State(before)).normalizers
    np.testing.assert_array_equal(after.sums, np.zeros(4))
    assert after.reward == 3.0


def test_masks_go_through_the_networks(key):
    env = toys.forbidden(4)
    networks = policy_value.make_networks(env.spec, CONFIG)
    policy = Policy(networks.init(key), ())
    observation = {"action_mask": jnp.array([[1, 0, 0, 1]], jnp.int8), "nothing": jnp.zeros((1, 1))}
    distribution, _ = networks.act(policy, observation, ())
    np.testing.assert_array_equal(np.isfinite(distribution.logits), [[True, False, False, True]])


def test_how_the_policy_s_last_layer_begins(key):
    def start(space, **changes):
        config = ppo.Config(num_envs=2, rollout_length=4, hidden_sizes=(4,), **changes)
        agent = ppo.make(Spec("test", spaces.Box(-1, 1, (3,)), space), config)
        return jax.jit(agent.init)(key, agent.hyperparameters).params["actor"]["params"]

    box = spaces.Box(-1, 1, (2,))
    head = start(box)["GaussianHead_0"]
    np.testing.assert_allclose(head["Dense_0"]["kernel"].T @ head["Dense_0"]["kernel"], 1e-4 * np.eye(2), atol=1e-8)
    np.testing.assert_array_equal(head["log_std"], [0, 0])
    head = start(box, head_init="constant(0.02)", std_activation="tanh", initial_std=0.5)["GaussianHead_0"]
    np.testing.assert_array_equal(head["Dense_0"]["kernel"], np.full((4, 2), 0.02, np.float32))
    np.testing.assert_allclose(np.exp(np.tanh(head["log_std"])), 0.5, rtol=1e-6)
    head = start(spaces.Discrete(3), head_init="orthogonal")["CategoricalHead_0"]
    np.testing.assert_allclose(head["Dense_0"]["kernel"].T @ head["Dense_0"]["kernel"], np.eye(3), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"actor_rnn": "rnn"}, "actor_rnn"),
        ({"actor_rnn": "lstm", "shared_torso": True}, "critic_rnn"),
        ({"rnn_layers": 0}, "rnn_layers=0: must be a positive integer"),
        ({"sequence_length": 3}, "sequence_length"),
        ({"shared_torso": True, "critic_sizes": (4,)}, "critic_sizes"),
        ({"continuous": "cauchy"}, "continuous"),
        ({"mean_activation": "tan"}, "mean_activation='tan'.*did you mean 'tanh'"),
        ({"head_init": "orthogonal(0"}, r"head_init='orthogonal\(0': must be default or one of"),
        ({"std_activation": "tan"}, "std_activation='tan'.*did you mean 'tanh'"),
        ({"std_activation": "relu"}, "initial_std=1.0: must be larger: std_activation='relu'"),
        ({"std_parametrization": "square"}, "std_parametrization"),
        ({"initial_std": 0.0}, "initial_std"),
        ({"min_std": -1.0, "std_parametrization": "softplus"}, "min_std=-1.0: must not be negative"),
        ({"continuous": "beta", "std_activation": "tanh"}, "std_activation='tanh': is of a Gaussian"),
        ({"torso": "conv", "convolutions": (8, 3, 1)}, r"convolutions=\(8, 3, 1\): must be a list of layers"),
        ({"convolutions": None}, "convolutions=None: must be a list of layers"),
        ({"value_head": "twohot"}, "two_hot"),
        ({"optimizer": "sgd"}, "optimizer"),
    ],
)
def test_bad_configurations_are_refused_by_name(changes, match):
    with pytest.raises(ValueError, match=match):
        replaced(**changes)
