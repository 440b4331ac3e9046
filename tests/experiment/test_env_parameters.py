import importlib.util

import pytest

from jaxrl import envs
from jaxrl.experiment import env_parameters
from jaxrl.experiment.cli import main
from jaxrl.experiment.env_parameters import parameters
from jaxrl.experiment.errors import UserError


def defaults(env):
    return {parameter.name: parameter.default for parameter in parameters(env)}


@pytest.mark.parametrize(
    ("env", "some"),
    [
        ("CartPole-v1", {"max_episode_steps": 500, "gravity": 9.8, "sticky_actions": 0.0, "clip_actions": True}),
        ("Breakout-MinAtar", {"max_episode_steps": 1000, "use_minimal_action_set": True}),
        ("gymnasium:CartPole-v1", {"max_episode_steps": 500, "sutton_barto_reward": False, "mask_from_info": False}),
        ("Pendulum-v1", {"max_episode_steps": 200}),
        # Its class passes further ones on to its base, which has the last.
        ("HalfCheetah-v5", {"max_episode_steps": 1000, "ctrl_cost_weight": 0.1, "frame_skip": 5, "width": 480}),
        ("atari:Pong", {"protocol": "classic", "frame_skip": 4, "sticky_actions": 0.0}),
        ("ALE/Pong-v5", {"repeat_action_probability": 0.25, "frameskip": 4}),
        ("jaxrl.envs.toys:team", {"num_agents": 2, "privileged": False}),
    ],
)
def test_parameters_of_every_suite_with_their_defaults(env, some):
    found = defaults(env)
    assert some.items() <= found.items() and "render_mode" not in found and "self" not in found


@pytest.mark.parametrize(
    "env", ["CartPole-v1", "Breakout-MinAtar", "gymnasium:CartPole-v1", "atari:Pong", "jaxrl.envs.toys:team"]
)
def test_make_takes_what_is_listed(env):
    known = {name: default for name, default in defaults(env).items() if default is not None}
    assert envs.make(env, **known).spec == envs.make(env).spec


@pytest.mark.parametrize("package", ["brax", "mujoco_playground"])
def test_suites_of_compiled_physics(package):
    if importlib.util.find_spec(package) is None:
        env = {"brax": "brax:ant", "mujoco_playground": "playground:CartpoleBalance"}[package]
        with pytest.raises(UserError, match=f"parameters cannot be listed: .*{package}"):
            parameters(env)
    elif package == "brax":
        assert {"max_episode_steps": 1000, "backend": "generalized"}.items() <= defaults("brax:ant").items()
    else:
        assert "ctrl_dt" in defaults("playground:CartpoleBalance")


def test_a_registered_factory(monkeypatch):
    def factory(size, *, depth=3, **others):
        raise AssertionError("a list makes nothing")

    envs.register("mine", factory)
    try:
        assert list(defaults("mine").items())[:3] == [("size", "(required)"), ("depth", 3), ("*", "")]
        assert env_parameters.unknown("mine", {"anything": 1}) is None
    finally:
        from jaxrl.envs import registry

        monkeypatch.delitem(registry._registered, "mine")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPol-v1", "there is no such environment; did you mean 'CartPole-v1'?"),
        ("atari:Pnog", "no such game; did you mean 'Pong'?"),
        ("gymnasium:CartPole-v9", "CartPole"),
        ("no_such_module:make", "No module named 'no_such_module'"),
        ("jaxrl.envs.toys:nothing", "has no attribute 'nothing'"),
    ],
)
def test_what_is_not_there(env, message, capsys):
    assert main(["list", "environments", env]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_list_of_names(capsys):
    assert main(["list", "environments", "CartPole-v1", "atari:Pong", "presets", "td3"]) == 0
    text = capsys.readouterr().out
    assert "--env.gravity" in text and "9.8" in text and "--env.protocol" in text and "td3/" in text
    assert "Environments of" not in text and "ppo/" not in text
    assert main(["list", "algorithms", "dqn"]) == 0
    assert "--config.dueling" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("env", "given", "near"),
    [
        ("CartPole-v1", "gravitas", "gravity"),
        ("gymnasium:CartPole-v1", "sutton", "sutton_barto_reward"),
        ("HalfCheetah-v5", "ctrl_cost", "ctrl_cost_weight"),
        ("atari:Pong", "frameskip", "frame_skip"),
        ("jaxrl.envs.toys:team", "agents", "num_agents"),
    ],
)
def test_an_unknown_parameter_suggests_the_nearest(env, given, near, capsys):
    assert main(["train", "ppo", "--env", env, "--total-steps", "99", f"--env.{given}", "3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{given}=3: {env} has the parameters " in line and line.endswith(f"did you mean {near!r}?")


def test_python_itself_makes_no_environments(capsys):
    assert main(["list", "environments", "os:system"]) == 2
    assert "os belongs to Python itself" in capsys.readouterr().err
