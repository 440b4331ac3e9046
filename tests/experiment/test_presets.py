import pytest

from jaxrl.envs import make
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.presets import NONE, PRESETS, get, tuned_for
from jaxrl.experiment.settings import build, make_settings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete_and_can_be_built(name):
    preset = PRESETS[name]
    assert preset.name == name == f"{preset.algorithm}/{preset.env}"
    assert preset.source and preset.total_steps

    settings = make_settings(preset.algorithm, preset.env)

    assert settings.preset == name
    assert settings.total_steps == preset.total_steps
    agent = build(settings, make(preset.env)).agent
    assert {k: getattr(agent.config, k) for k in preset.config} == dict(preset.config)
    assert {k: settings.hyperparameters[k] for k in preset.hyperparameters} == dict(preset.hyperparameters)


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1", "gymnasium:CartPole-v1"])
def test_the_tuned_preset_is_found_with_and_without_the_prefix_of_a_suite(env):
    assert tuned_for("ppo", env).name == "ppo/CartPole-v1"


def test_there_may_be_no_tuned_preset():
    assert tuned_for("dqn", "Pendulum-v1") is None


def test_a_preset_may_be_named_without_its_algorithm():
    assert get("CartPole-v1", "dqn") is PRESETS["dqn/CartPole-v1"]


def test_the_first_row_of_the_table_is_cleanrl_s_ppo():
    settings = make_settings("ppo", "CartPole-v1")

    schedule = settings.hyperparameters["learning_rate"]
    assert (schedule.times, schedule.values, schedule.fraction) == ((0.0, 1.0), (2.5e-4, 0.0), True)
    assert (settings.hyperparameters["clip"], settings.hyperparameters["entropy_coefficient"]) == (0.2, 0.01)
    sizes = ("num_envs", "rollout_length", "num_epochs", "num_minibatches", "hidden_sizes", "activation")
    assert [settings.config[name] for name in sizes] == [4, 128, 4, 4, (64, 64), "tanh"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("CartPole-v2", ["'ppo/CartPole-v1'", "did you mean"]), ("dqn/CartPole-v1", ["for ppo", "ppo/Pendulum-v1"])],
)
def test_an_unknown_preset_or_another_algorithm_s_is_refused_with_the_names_there_are(name, words):
    with pytest.raises(UserError) as error:
        get(name, "ppo")
    assert all(word in str(error.value) for word in [*words, NONE])
