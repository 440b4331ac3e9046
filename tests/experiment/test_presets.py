import re
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.listing import preset_env, print_presets
from jaxrl.experiment.presets import NONE, PRESETS, actor_critic, get, pixels, policy_gradient, q_learning, tuned_for
from jaxrl.experiment.settings import build, make_settings, named_env
from jaxrl.schedules import linear
from jaxrl.types import Spec

VALUES = runpy.run_path(str(Path(__file__).with_name("preset_values.py")))["VALUES"]
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


CHOSEN_HERE = {
    "ppo/CartPole-v1": {
        "learning_rate": linear(2.5e-4, 0.0, fraction=1.0), "clip": 0.2, "entropy_coefficient": 0.01, "num_envs": 4,
        "rollout_length": 128, "num_epochs": 4, "num_minibatches": 4, "hidden_sizes": (64, 64), "activation": "tanh",
    },
    # What was measured had He's initial weights.
    "pqn/CartPole-v1": {**VALUES["pqn/paper-cartpole"], "kernel_init": "kaiming_normal"},
    "pqn/MinAtar": {**VALUES["pqn/paper-minatar"], "total_steps": 5_000_000},
}  # fmt: skip
OTHERS = [preset.name for preset in PRESETS.values() if not preset.tuned]


@pytest.mark.parametrize("name", [*VALUES, *CHOSEN_HERE])
def test_values_are_those_of_the_source(name):
    preset, values = PRESETS[name], {**VALUES, **CHOSEN_HERE}[name]
    settings = make_settings(preset.algorithm, preset.env, preset=name)
    held = {**vars(settings), **settings.hyperparameters, **settings.config, **settings.env_parameters}
    close = lambda a, b: a == pytest.approx(b, rel=1e-12) if isinstance(b, float) else a == b
    wrong = {field: (held[field], value) for field, value in values.items() if not close(held[field], value)}
    assert not wrong


def test_every_value_of_another_project_s_preset_is_compared():
    fields = lambda p: {*p.hyperparameters, *p.config, *p.env_parameters, "total_steps"}
    missing = {name: fields(PRESETS[name]) - set(VALUES.get(name, ())) for name in OTHERS}
    assert not {name: fields for name, fields in missing.items() if fields}
    assert not set(VALUES) - set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_another_project_s_preset_names_files_commit_and_differences(name):
    preset = PRESETS[name]
    assert re.search(r"[\w/]+\.(py|yaml|yml|gin|ipynb)", preset.source)
    for commit in preset.commit.split(", "):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{7}", commit)
    assert preset.commit in preset.provenance
    assert all(difference in preset.provenance for difference in preset.differs)
    # Sentences join into one line of a table.
    assert all(d and d == d.strip(" .;\n") and "|" not in d for d in preset.differs)


def test_source_commit_and_differences_are_listed(capsys):
    print_presets()
    listed = " ".join(capsys.readouterr().out.split())
    assert "bench.rst (openai/spinningup@07bb739); differs: HalfCheetah-v2 there; the actor takes its step" in listed
