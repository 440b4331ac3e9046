import jax
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.listing import preset_env
from jaxrl.experiment.presets import NONE, PRESETS, actor_critic, get, pixels, policy_gradient, q_learning, tuned_for
from jaxrl.experiment.settings import build, make_settings, named_env
from jaxrl.schedules import linear
from jaxrl.types import Spec

IMAGE = Spec("Pong", spaces.Box(0, 255, (84, 84, 4), np.uint8), spaces.Discrete(6), frame_stack=4)
SPECS = {
    "Atari": IMAGE,
    "Pong": IMAGE,
    "MinAtar": Spec("Breakout-MinAtar", spaces.Box(0, 1, (10, 10, 4), bool), spaces.Discrete(3)),
    "LunarLander-v3": Spec("LunarLander-v3", spaces.Box(-1, 1, (8,), np.float32), spaces.Discrete(4)),
    **{
        name: Spec(name, spaces.Box(-np.inf, np.inf, (size,), np.float32), spaces.Box(-1, 1, (actions,), np.float32))
        for name, size, actions in [
            ("MuJoCo", 17, 6),
            ("HalfCheetah-v5", 17, 6),
            ("Hopper-v5", 11, 3),
            ("InvertedPendulum-v5", 4, 1),
            ("Reacher-v5", 10, 2),
            ("hopper", 11, 3),
            ("walker2d", 17, 6),
            ("inverted_double_pendulum", 8, 1),
            ("CartpoleBalance", 5, 1),
        ]
    },
}
"""Of environments that may not be installed, or of many."""
IDS = {"MinAtar": "Breakout-MinAtar", "MuJoCo": "gymnasium:HalfCheetah-v5", "Pong": "atari:Pong"}
TUNED = [p.name for module in (q_learning, policy_gradient, actor_critic, pixels) for p in module.PRESETS]


def spec_of(preset):
    return SPECS.get(preset.env) or envs.make(preset.env).spec


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete_and_can_be_built(name):
    preset = PRESETS[name]
    assert preset.name == name and name.startswith(f"{preset.algorithm}/")
    assert preset.source and preset.total_steps

    settings = make_settings(preset.algorithm, preset.env, preset=name)

    assert (settings.preset, settings.total_steps) == (name, preset.total_steps)
    for field in ("reward_shift", "reward_scale", "reward_clip", "reward_log"):
        assert getattr(settings, field) == getattr(preset, field)
    assert settings.env_parameters == preset.env_parameters
    assert {k: settings.config[k] for k in preset.config} == dict(preset.config)
    assert {k: settings.hyperparameters[k] for k in preset.hyperparameters} == dict(preset.hyperparameters)
    module = ALGORITHMS[preset.algorithm]
    agent = module.make(spec_of(preset), module.Config(**settings.config))
    hp = module.Hyperparameters(**settings.hyperparameters)
    jax.eval_shape(agent.init, jax.random.key(0), hp)


@pytest.mark.parametrize("name", TUNED)
def test_the_tuned_ones_are_taken_by_themselves(name):
    preset = PRESETS[name]
    assert name == f"{preset.algorithm}/{preset.env}"
    assert make_settings(preset.algorithm, IDS.get(preset.env, preset.env)).preset == name


def test_those_of_other_projects_are_not():
    ids = {"CartPole-v1", *(IDS.get(preset.env, preset.env) for preset in PRESETS.values())}
    taken = [tuned_for(algorithm, env) for algorithm in ALGORITHMS for env in ids]
    assert {preset.name for preset in taken if preset} == set(TUNED)


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1", "gymnasium:CartPole-v1"])
def test_the_tuned_preset_is_found_with_and_without_the_prefix_of_a_suite(env):
    assert tuned_for("ppo", env).name == "ppo/CartPole-v1"


@pytest.mark.parametrize("env", ["Ant-v5", "gymnasium:Walker2d-v5"])
def test_one_is_for_all_of_mujoco(env):
    assert tuned_for("sac", env).name == "sac/MuJoCo"
    assert tuned_for("dqn", env) is None


def test_there_may_be_no_tuned_preset():
    assert tuned_for("dqn", "Pendulum-v1") is None


@pytest.mark.parametrize("name", ["CartPole-v1", "zoo-mountaincar"])
def test_a_preset_may_be_named_without_its_algorithm(name):
    assert get(name, "dqn") is PRESETS[f"dqn/{name}"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CartPole-v2", ["'ppo/CartPole-v1'", "did you mean"]),
        ("dqn/CartPole-v1", ["for ppo", "ppo/Pendulum-v1"]),
        ("cleanrl-atari", ["ppo/rl_games-pong"]),
    ],
)
def test_an_unknown_preset_or_another_algorithm_s_is_refused_with_the_names_there_are(name, words):
    with pytest.raises(UserError) as error:
        get(name, "ppo")
    assert all(word in str(error.value) for word in [*words, NONE])


class TestEnvironments:
    def test_a_preset_s_parameters_make_the_environment(self):
        settings = make_settings("dqn", "CartPole-v1", preset="lightning-cartpole")
        assert build(settings).env.spec.max_episode_steps == 200

    def test_given_ones_go_before_single_ones_of_the_preset(self):
        given = {"noop_max": "7", "image_size": "42"}
        settings = make_settings("dqn", "atari:Pong", preset="bolts-pong", env_parameters=given)
        assert settings.env_parameters == {
            "protocol": "classic", "noop_max": 7, "episodic_life": False, "image_size": 42
        }  # fmt: skip

    def test_an_environment_is_made_with_those_of_the_preset_that_will_be_taken(self):
        pytest.importorskip("ale_py")
        name, env = named_env("atari:Pong", {"max_episode_frames": 80}, "dqn", "dopamine-atari")
        assert (name, env.max_episode_steps) == ("atari:Pong", 20)
        assert named_env("CartPole-v1", None, "dqn", "lightning-cartpole")[1].spec.max_episode_steps == 200
        assert named_env("CartPole-v1", None, "dqn")[1].spec.max_episode_steps == 500
        assert named_env(env, None, "dqn", "lightning-cartpole") == ("Pong", env)
        with pytest.raises(UserError, match="unknown preset"):
            named_env("CartPole-v1", None, "dqn", "lightning-cartpol")

    def test_one_that_does_not_have_them_is_refused(self):
        with pytest.raises(UserError, match="protocol='classic': .*the preset dqn/cleanrl-atari is for Atari"):
            named_env("CartPole-v1", None, "dqn", "cleanrl-atari")

    @pytest.mark.parametrize("name", [n for n, p in PRESETS.items() if p.env in ("Atari", "Pong")])
    def test_the_parameters_are_ones_that_atari_has(self, name):
        pytest.importorskip("ale_py")
        env = envs.make("atari:Pong", **PRESETS[name].env_parameters)
        assert (env.observation_space, env.action_space) == (IMAGE.observation_space, IMAGE.action_space)

    def test_they_are_listed(self):
        assert preset_env(PRESETS["dqn/bolts-pong"]) == "Pong protocol=classic noop_max=0 episodic_life=false"


NO_CLIPPING = 1e6

VALUES = {
    "ppo/CartPole-v1": {
        "learning_rate": linear(2.5e-4, 0.0, fraction=1.0), "clip": 0.2, "entropy_coefficient": 0.01, "num_envs": 4,
        "rollout_length": 128, "num_epochs": 4, "num_minibatches": 4, "hidden_sizes": (64, 64), "activation": "tanh",
    },
    "dqn/rlcycle-pong": {
        "batch_size": 64, "buffer_size": 100_000, "epsilon": linear(1.0, 0.01, steps=1e6), "prefill": 40_000,
        "n_step": 3, "steps_per_update": 4, "learning_rate": 3e-4, "adam_epsilon": 1e-8, "max_grad_norm": 10.0,
        "prioritized": False, "target_update": "polyak", "tau": 0.005, "double_q": False, "reward_clip": 1.0,
    },
    "rainbow/rlcycle-pong": {
        "batch_size": 64, "buffer_size": 100_000, "prioritized": False, "priority_exponent": 0.5, "prefill": 40_000,
        "epsilon": linear(1.0, 0.0, steps=1e5), "discount": 0.99, "tau": 0.005, "q_regularization": 0.0,
        "max_grad_norm": 10.0, "n_step": 3, "steps_per_update": 4, "learning_rate": 6.25e-5, "weight_decay": 0.0,
        "adam_epsilon": 1.5e-4, "num_atoms": 51, "v_min": -10.0, "v_max": 10.0, "head_sizes": (512,),
        "noise": "factorised", "dueling": True, "exploration": "epsilon_greedy",
        # Over 3e5 updates of 4 steps each, from the first on.
        "importance_exponent": linear(0.4, 1.0, steps=1_200_000, delay=40_000),
    },
    "dqn/rlcycle-lunarlander": {
        "batch_size": 64, "buffer_size": 1_000_000, "epsilon": linear(1.0, 0.01, steps=1e5), "prefill": 10_000,
        "learning_rate": 2.5e-4, "n_step": 3, "steps_per_update": 1, "max_episode_steps": 300,
    },
    "dqn/rlcycle-lunarlander-per": {
        "batch_size": 32, "buffer_size": 10_000, "prioritized": True, "priority_exponent": 0.4, "n_step": 5,
        "epsilon": linear(1.0, 0.1, steps=1e4),
    },
    # Epsilon falls after the warm start.
    "dqn/lightning-cartpole": {
        "batch_size": 16, "learning_rate": 1e-2, "discount": 0.99, "target_update_period": 10, "buffer_size": 1_000,
        "prefill": 1_000, "epsilon": linear(1.0, 0.01, steps=1e3, delay=1e3), "hidden_sizes": (128,), "loss": "mse",
        "max_episode_steps": 200,
    },
    "dqn/bolts-pong": {
        "learning_rate": 1e-4, "batch_size": 32, "target_update_period": 1_000, "buffer_size": 100_000,
        "prefill": 10_000, "epsilon": linear(1.0, 0.02, steps=150_000, delay=10_000), "steps_per_update": 1,
        "n_step": 1, "reward_clip": None,
    },
    # target_network_frequency 500 and 1000 steps, train_frequency 10 and 4.
    "dqn/cleanrl-classic-control": {
        "learning_rate": 2.5e-4, "buffer_size": 10_000, "target_update_period": 50, "batch_size": 128,
        "epsilon": linear(1.0, 0.05, fraction=0.5), "prefill": 10_000, "steps_per_update": 10,
        "hidden_sizes": (120, 84), "loss": "mse", "double_q": False, "total_steps": 500_000,
    },
    "c51/cleanrl-classic-control": {
        "num_atoms": 101, "v_min": -100.0, "v_max": 100.0, "learning_rate": 2.5e-4, "adam_epsilon": 7.8125e-5,
        "target_update_period": 50, "max_grad_norm": NO_CLIPPING,
    },
    "dqn/cleanrl-atari": {
        "learning_rate": 1e-4, "buffer_size": 1_000_000, "target_update_period": 250, "batch_size": 32,
        "epsilon": linear(1.0, 0.01, fraction=0.1), "prefill": 80_000, "steps_per_update": 4, "hidden_sizes": (512,),
        "total_steps": 10_000_000, "protocol": "classic", "reward_clip": 1.0,
    },
    "c51/cleanrl-atari": {
        "learning_rate": 2.5e-4, "target_update_period": 2_500, "num_atoms": 51, "v_max": 10.0,
        "adam_epsilon": 3.125e-4,
    },
    # target_update_interval 10 < train_freq 256: before each round of 128 updates.
    "dqn/zoo-cartpole": {
        "total_steps": 50_000, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "prefill": 1_000,
        "target_update_period": 128, "steps_per_update": 256, "updates_per_iteration": 128,
        "epsilon": linear(1.0, 0.04, fraction=0.16), "hidden_sizes": (256, 256), "loss": "huber", "max_grad_norm": 10.0,
    },
    # 600 steps are 37.5 rounds of 8 updates.
    "qr_dqn/zoo-mountaincar": {
        "total_steps": 120_000, "learning_rate": 4e-3, "batch_size": 128, "discount": 0.98, "target_update_period": 300,
        "steps_per_update": 16, "updates_per_iteration": 8, "num_quantiles": 25,
        "epsilon": linear(1.0, 0.07, fraction=0.2),
    },
    "dqn/zoo-lunarlander": {
        "learning_rate": 6.3e-4, "prefill": 1, "target_update_period": 250, "steps_per_update": 4,
        "updates_per_iteration": 4, "epsilon": linear(1.0, 0.1, fraction=0.12), "reward_clip": None,
    },
    "qr_dqn/zoo-lunarlander": {
        "learning_rate": linear(1.5e-3, 0.0, fraction=1.0), "discount": 0.995, "target_update_period": 256,
        "updates_per_iteration": 256, "num_quantiles": 170, "prefill": 10_000, "adam_epsilon": 7.8125e-5,
    },
    "dqn/zoo-atari": {"buffer_size": 10_000, "target_update_period": 250, "epsilon": linear(1.0, 0.01, fraction=0.1)},
    "qr_dqn/zoo-atari": {
        "learning_rate": 5e-5, "buffer_size": 1_000_000, "prefill": 50_000, "target_update_period": 2_500,
        "epsilon": linear(1.0, 0.01, fraction=0.025), "num_quantiles": 200, "max_grad_norm": NO_CLIPPING,
    },
    "dqn/dopamine-atari": {
        "evaluation_epsilon": 0.001,
        "learning_rate": 6.25e-5, "adam_epsilon": 1.5e-4, "n_step": 1, "prefill": 20_000, "steps_per_update": 4,
        "target_update_period": 2_000, "epsilon": linear(1.0, 0.01, steps=250_000, delay=20_000), "loss": "mse",
        "total_steps": 50_000_000, "protocol": "machado", "reward_clip": 1.0,
    },
    "rainbow/dopamine-atari": {
        "learning_rate": 6.25e-5, "adam_epsilon": 1.5e-4, "n_step": 3, "prioritized": True, "distributional": True,
        "double_q": False, "dueling": False, "noise": "none", "priority_exponent": 0.5, "importance_exponent": 0.5,
    },
    "iqn/dopamine-atari": {
        "learning_rate": 5e-5, "adam_epsilon": 3.125e-4, "n_step": 3, "prioritized": False, "policy_samples": 32,
        "online_samples": 64, "target_samples": 64, "num_cosines": 64, "hidden_sizes": (), "head_sizes": (512,),
    },
    "qr_dqn/dopamine-atari": {"num_quantiles": 200, "kappa": 1.0, "n_step": 3, "prioritized": True, "batch_size": 32},
    "pqn/paper-cartpole": {
        "total_steps": 500_000, "num_envs": 32, "rollout_length": 64, "epsilon": linear(1.0, 0.2, fraction=0.2),
        "num_minibatches": 16, "num_epochs": 4, "hidden_sizes": (256, 256), "layer_norm": True,
        "learning_rate": linear(1e-4, 0.0, fraction=1.0), "max_grad_norm": 10.0, "reward_scale": 0.1, "discount": 0.99,
        "q_lambda": 0.95,
    },
    "pqn/paper-minatar": {
        "total_steps": 10_000_000, "num_envs": 128, "rollout_length": 32, "epsilon": linear(1.0, 0.05, fraction=0.1),
        "num_minibatches": 32, "num_epochs": 2, "learning_rate": linear(5e-4, 0.0, fraction=1.0), "q_lambda": 0.65,
        "hidden_sizes": (128,), "reward_scale": 1.0,
    },
    # Minibatches of 2048 from 64 x 128; 500 epochs of them.
    "ppo/rl_games-pong": {
        "num_envs": 64, "rollout_length": 128, "num_minibatches": 4, "num_epochs": 4, "learning_rate": 3e-4,
        "value_coefficient": 2.0, "max_grad_norm": 1.0, "entropy_coefficient": 0.01, "clip_value_loss": False,
        "total_steps": 4_096_000, "reward_clip": 1.0, "adaptive_learning_rate": "epoch", "target_kl": 0.01,
        "normalize_value": True, "shared_torso": True, "advantage_scope": "rollout", "normalize_observation": True,
        "observation_clip": 5.0, "value_clip": 5.0,
        "normalize_images": True,
    },
    # The action joins at the second layer; 1,000 random steps. Both DDPGs have twin critics.
    "ddpg/rlcycle-lillicrap2015": {
        "hidden_sizes": (400, 300), "action_layers": (1,), "exploration": "ornstein_uhlenbeck", "noise_theta": 0.15,
        "noise_scale": 0.3, "num_critics": 2, "batch_size": 64, "actor_learning_rate": 1e-3,
        "critic_learning_rate": 1e-3, "tau": 0.005, "actor_max_grad_norm": 10.0, "critic_max_grad_norm": 10.0,
        "epsilon": linear(1.0, 0.0, steps=1, delay=1_000),
    },
    "ddpg/rlcycle-fujimoto2018": {
        "hidden_sizes": (400, 300), "action_layers": (0, 1), "exploration": "gaussian", "noise_scale": 0.1,
        "num_critics": 2, "batch_size": 100, "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
    },
    "sac/rlcycle-haarnoja2019": {
        "temperature": 2.0, "temperature_learning_rate": 3e-4, "target_entropy": -1.0, "log_std_bounds": (-20.0, 2.0),
        "output_bound": 0.003, "hidden_sizes": (256, 256), "actor_learning_rate": 1e-3, "batch_size": 64,
    },
    "td3/cleanrl-mujoco": {
        "actor_learning_rate": 3e-4, "critic_learning_rate": 3e-4, "buffer_size": 1_000_000, "discount": 0.99,
        "tau": 0.005, "batch_size": 256, "smoothing_scale": 0.2, "smoothing_clip": 0.5, "noise_scale": 0.1,
        "prefill": 25_000, "policy_delay": 2, "target_update_period": 2, "total_steps": 1_000_000,
    },
    "sac/cleanrl-mujoco": {
        "actor_learning_rate": 3e-4, "critic_learning_rate": 1e-3, "prefill": 5_000, "batch_size": 256,
        "log_std_bounds": (-5.0, 2.0), "log_std_bounding": "tanh", "policy_delay": 1, "total_steps": 1_000_000,
    },
    # A target network every 8,000 steps, an update every 4.
    "sac_discrete/cleanrl-atari": {
        "target_entropy": 0.89, "tau": 1.0, "target_update_period": 2_000, "steps_per_update": 4, "prefill": 20_000,
        "batch_size": 64, "adam_epsilon": 1e-4, "actor_learning_rate": 3e-4, "total_steps": 5_000_000,
    },
    # polyak 0.995, update_after 1,000, update_every 50, start_steps 10,000.
    "td3/spinningup-mujoco": {
        "actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "tau": 0.005, "batch_size": 100, "prefill": 1_000,
        "steps_per_update": 50, "updates_per_iteration": 50, "noise_scale": 0.1, "smoothing_scale": 0.2,
        "smoothing_clip": 0.5, "policy_delay": 2, "hidden_sizes": (256, 256), "total_steps": 3_000_000,
        "epsilon": linear(1.0, 0.0, steps=1, delay=10_000),
    },
    "sac/spinningup-2018": {
        "temperature": 0.2, "learn_temperature": False, "state_value": True, "hidden_sizes": (400, 300),
    },
    "sac/zoo-mujoco": {"prefill": 10_000, "batch_size": 256, "actor_learning_rate": 3e-4, "total_steps": 1_000_000},
    "crossq/zoo-mujoco": {"critic_sizes": (2_048, 2_048), "policy_delay": 3, "adam_b1": 0.5, "target_network": False},
    "sac/rl_games-mujoco": {
        "num_envs": 32, "updates_per_iteration": 32, "policy_delay": 2, "critic_max_grad_norm": 5.0,
        "min_temperature": 0.01, "tau": 0.005,
    },
    "sac/brax-hopper": {
        "actor_learning_rate": 6e-4, "discount": 0.997, "batch_size": 512, "updates_per_iteration": 64,
        "num_envs": 128, "buffer_size": 1_048_576, "reward_scale": 30.0, "normalize_observation": True,
        "prefill": 8_192, "total_steps": 6_553_600,
    },
    "sac/playground-dm_control": {
        "actor_learning_rate": 1e-3, "discount": 0.99, "batch_size": 512, "updates_per_iteration": 8, "num_envs": 128,
        "critic_normalization": "layer", "normalize_observation": True, "total_steps": 5_000_000,
    },
}  # fmt: skip
"""What the sources say, written down apart from the presets."""


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_the_source(name):
    preset = PRESETS[name]
    settings = make_settings(preset.algorithm, preset.env, preset=name)
    held = {**vars(settings), **settings.hyperparameters, **settings.config, **settings.env_parameters}
    assert {field: held[field] for field in VALUES[name]} == VALUES[name]
