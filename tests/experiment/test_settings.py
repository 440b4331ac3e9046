import dataclasses
import os
import subprocess
import sys
import types
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from hypothesis import given
from hypothesis import strategies as st

from jaxrl.algorithms import dqn, ppo
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.presets import PRESETS, Preset
from jaxrl.experiment.run import train
from jaxrl.experiment.settings import RunSettings, load, make_settings, require_same, reward_transform, save
from jaxrl.experiment.values import (
    config_value,
    hyperparameter,
    literal,
    schedule_text,
    split_top_level,
)  # fmt: skip
from jaxrl.schedules import Schedule, linear, piecewise
from jaxrl.threads import available_cores
from jaxrl.types import Spec


def refused(function, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestHyperparameterValues:
    @pytest.mark.parametrize("value", ["2.5e-4", 2.5e-4, np.float64(2.5e-4), np.array(2.5e-4)])
    def test_numbers_and_their_text(self, value):
        assert hyperparameter("learning_rate", value) == 2.5e-4

    def test_an_array_of_jax_becomes_a_plain_float(self):
        found = hyperparameter("discount", jnp.float32(0.5))
        assert found == 0.5 and type(found) is float

    @pytest.mark.parametrize(
        ("text", "schedule"),
        [
            ("linear(2.5e-4,0,fraction=1.0)", linear(2.5e-4, 0.0, fraction=1.0)),
            ("linear(1, 0.05, steps=10_000)", linear(1.0, 0.05, steps=10_000)),
            ("linear(1, 0.5, fraction=0.25, delay=0.5)", Schedule((0.5, 0.75), (1.0, 0.5), fraction=True)),
            ("piecewise([(0,1),(0.5,0.1)], fraction=True)", piecewise([(0, 1), (0.5, 0.1)], fraction=True)),
            ("piecewise([(0, 1), (100, 0.5), (200, 0)])", piecewise([(0, 1), (100, 0.5), (200, 0)])),
        ],
    )
    def test_schedules_are_written_as_the_calls_that_make_them(self, text, schedule):
        assert hyperparameter("epsilon", text) == schedule
        assert hyperparameter("epsilon", schedule) == schedule

    @given(
        st.lists(st.floats(0, 1), min_size=1, max_size=5, unique=True),
        st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5),
        st.booleans(),
    )
    def test_the_text_of_a_schedule_makes_the_same_schedule_again(self, times, values, fraction):
        schedule = Schedule(tuple(sorted(times)), tuple(values[: len(times)]), fraction)
        assert hyperparameter("x", schedule_text(schedule)) == schedule

    @pytest.mark.parametrize(
        "text",
        ["abc", "", "linear", "linear(1)", "linear(1, 0)", "__import__('os')", "linear(a, 0, fraction=1)", "1 2",
         "linear(*[1, 2])", "print(1)", "exp(1, 0, fraction=1)", "linear(1, 0, fraction=1).times", "[1, 2]"],
    )  # fmt: skip
    def test_what_is_neither_a_number_nor_a_schedule_is_refused(self, text):
        assert refused(hyperparameter, "learning_rate", text).startswith("learning_rate=")

    @pytest.mark.parametrize(
        ("name", "value", "allowed"),
        [
            ("learning_rate", 0, "> 0"),
            ("learning_rate", "-1", "> 0"),
            ("discount", 1.01, "[0, 1]"),
            ("gae_lambda", -0.1, "[0, 1]"),
            ("clip", 0, "> 0"),
            ("epsilon", "1.5", "[0, 1]"),
            ("tau", 0, "(0, 1]"),
            ("tau", 2, "(0, 1]"),
            ("max_grad_norm", -1, "> 0"),
            ("entropy_coefficient", -0.01, ">= 0"),
            ("something_new", "nan", "finite"),
            ("something_new", float("inf"), "finite"),
            ("epsilon", "linear(2, 0, fraction=1)", "[0, 1]"),
            ("learning_rate", "linear(-1e-3, 0, fraction=1)", "> 0"),
            ("learning_rate", "linear(1e-3, 0, fraction=1.5)", "[0, 1]"),
            ("learning_rate", "linear(1e-3, 0, steps=0)", "positive"),
            ("learning_rate", "piecewise([(5, 1), (1, 1)])", "increasing"),
            ("learning_rate", True, "number"),
            ("learning_rate", [1e-3, 1e-4], "number"),
        ],
    )
    def test_out_of_range_names_field_value_and_range(self, name, value, allowed):
        message = refused(hyperparameter, name, value)
        assert message.startswith(f"{name}=") and allowed in message

    @pytest.mark.parametrize(
        ("name", "value"), [("discount", 0), ("discount", 1), ("tau", 1), ("entropy_coefficient", 0)]
    )
    def test_closed_ends_are_in_the_range(self, name, value):
        assert hyperparameter(name, value) == value

    def test_a_schedule_may_end_where_a_constant_may_not_be(self):
        assert hyperparameter("learning_rate", "linear(1e-3, 0, fraction=1)").values == (1e-3, 0.0)

    def test_none_where_the_default_is_none(self):
        assert hyperparameter("x", "none", optional=True) is None
        refused(hyperparameter, "x", "none")


class TestConfigValues:
    @pytest.mark.parametrize(
        ("value", "annotation", "expected"),
        [
            ("8", int, 8),
            ("1e5", int, 100_000),
            ("100_000", int, 100_000),
            (np.int64(3), int, 3),
            ("0.5", float, 0.5),
            (1, float, 1.0),
            ("true", bool, True),
            ("OFF", bool, False),
            (True, bool, True),
            ("tanh", str, "tanh"),
            ("64,64", tuple[int, ...], (64, 64)),
            ("(64, 64)", tuple[int, ...], (64, 64)),
            ("[64]", tuple[int, ...], (64,)),
            ("64", tuple[int, ...], (64,)),
            ("", tuple[int, ...], ()),
            ([64, 32], tuple[int, ...], (64, 32)),
            ("(1,2),(3,4)", tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
            ("none", int | None, None),
            ("3", int | None, 3),
            ("mse", Literal["mse", "huber"], "mse"),
            ("(1, [2, 'a'])", object, (1, (2, "a"))),
        ],
    )
    def test_text_and_values_become_the_field_s_type(self, value, annotation, expected):
        found = config_value("x", value, annotation)
        assert found == expected and type(found) is type(expected)

    @pytest.mark.parametrize(
        ("value", "annotation", "wanted"),
        [
            ("four", int, "an integer"),
            ("4.5", int, "an integer"),
            (True, int, "an integer"),
            ("nan", float, "a finite number"),
            ("maybe", bool, "true or false"),
            (1, bool, "true or false"),
            ("64,x", tuple[int, ...], "an integer"),
            (3, str, "a text"),
            ("l1", Literal["mse", "huber"], "one of mse, huber"),
            ("1,2,3", tuple[int, int], "a list of 2 values"),
        ],
    )
    def test_another_type_is_refused(self, value, annotation, wanted):
        message = refused(config_value, "x", value, annotation)
        assert message.startswith(f"x={value!r}") and wanted in message

    def test_literals(self):
        assert [literal(x) for x in ("3", "0.5", "true", "abc", "(1, 2)", 7)] == [3, 0.5, True, "abc", (1, 2), 7]

    def test_commas_in_brackets_do_not_split(self):
        assert split_top_level("(64,64), 1e-3,linear(1,0,fraction=1)") == ["(64,64)", "1e-3", "linear(1,0,fraction=1)"]


class TestSettings:
    def test_given_values_go_before_the_preset_and_that_before_the_defaults(self, monkeypatch):
        preset = Preset("ppo/Here-v1", "ppo", "Here-v1", "", {"discount": 0.1, "clip": 0.3}, {"rollout_length": 7}, 999)
        monkeypatch.setitem(PRESETS, preset.name, preset)
        settings = make_settings("ppo", "Here-v1", hp={"discount": "0.5"}, config={"num_envs": 8})

        assert (settings.preset, settings.total_steps) == ("ppo/Here-v1", 999)
        assert settings.hyperparameters["discount"] == 0.5  # given
        assert settings.hyperparameters["clip"] == 0.3  # the preset's
        assert settings.hyperparameters["max_grad_norm"] == ppo.Hyperparameters().max_grad_norm  # the default
        assert (settings.config["num_envs"], settings.config["rollout_length"]) == (8, 7)

    def test_the_preset_none_means_the_defaults(self):
        settings = make_settings("ppo", "CartPole-v1", 1000, preset="none")
        assert settings.preset is None
        assert settings.hyperparameters["learning_rate"] == ppo.Hyperparameters().learning_rate

    def test_the_algorithm_s_own_records_are_taken_too(self):
        hp, config = dqn.Hyperparameters(learning_rate=0.5), dqn.Config(batch_size=32)
        settings = make_settings("dqn", "CartPole-v1", hp=hp, config=config)
        assert settings.hyperparameters["learning_rate"] == 0.5
        assert settings.config == dataclasses.asdict(config)

    @pytest.mark.parametrize(("given", "found"), [(None, 1.0), (5, 5.0), (float("inf"), None)])
    def test_the_reward_is_clipped_as_given_or_as_the_preset_says(self, monkeypatch, tmp_path, given, found):
        preset = Preset("ppo/Here-v1", "ppo", "Here-v1", "", total_steps=999, reward_clip=1.0)
        monkeypatch.setitem(PRESETS, preset.name, preset)
        settings = make_settings("ppo", "Here-v1", reward_clip=given)
        assert settings.reward_clip == found
        save(settings, tmp_path)
        assert load(tmp_path) == settings

    def test_without_a_preset_it_is_not(self):
        assert make_settings("ppo", "CartPole-v1", 1000).reward_clip is None

    def test_the_environment_s_parameters_go_over_the_preset_s(self, monkeypatch):
        preset = Preset("ppo/Here-v1", "ppo", "Here-v1", "", total_steps=9, env_parameters={"gravity": 1.0, "mass": 2})
        monkeypatch.setitem(PRESETS, preset.name, preset)
        settings = make_settings("ppo", "Here-v1", env_parameters={"mass": "3", "length": "4"})
        assert settings.env_parameters == {"gravity": 1.0, "mass": 3, "length": 4}
        assert preset.env_parameters == {"gravity": 1.0, "mass": 2}
        assert make_settings("ppo", "Here-v1", 9, preset="none").env_parameters == {}

    def test_seeds_count_on_from_the_first(self):
        assert make_settings("ppo", "CartPole-v1", seed=5, num_seeds=3).seeds == range(5, 8)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"algorithm": "pppo"}, "unknown algorithm 'pppo'; did you mean 'ppo'?"),
            (
                {"hp": {"learning_rat": 1}},
                "unknown hyper-parameter of ppo 'learning_rat'; did you mean 'learning_rate'?",
            ),
            ({"hp": {"num_envs": 1}}, "--config.num_envs"),
            ({"config": {"num_env": 1}}, "unknown configuration field of ppo 'num_env'; did you mean 'num_envs'?"),
            ({"config": {"clip": 1}}, "--hp.clip"),
            ({"hp": 3}, "Hyperparameters"),
            ({"config": {"num_minibatches": 3}}, "num_minibatches=3: must divide num_envs * rollout_length"),
            ({"config": {"activation": "tan"}}, "did you mean 'tanh'?"),
            ({"total_steps": 0}, "total_steps=0"),
            ({"total_steps": 1.5}, "total_steps=1.5"),
            ({"num_seeds": 0}, "num_seeds=0"),
            ({"seed": -1}, "seed=-1"),
            ({"seed": 2**32}, "2^32"),
            ({"eval_episodes": 0}, "eval_episodes=0"),
            ({"reward_scale": 0.0}, "reward_scale=0"),
            ({"reward_shift": "some"}, "reward_shift='some': must be a number"),
            ({"reward_shift": float("inf")}, "reward_shift=inf: must be a finite number"),
            ({"reward_log": "ln"}, "reward_log='ln': must be true or false"),
            ({"reward_clip": 0.0}, "reward_clip=0: must be > 0"),
            ({"reward_clip": -1}, "reward_clip=-1: must be > 0"),
            ({"reward_clip": float("nan")}, "reward_clip=nan: must be a finite number"),
            ({"reward_clip": "much"}, "reward_clip='much': must be a number"),
            ({"preset": "nope"}, "unknown preset 'nope'"),
            ({"env": "Acrobot-v1"}, "total_steps is missing"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_sentence(self, arguments, words):
        assert words in refused(make_settings, **{"algorithm": "ppo", "env": "CartPole-v1", **arguments})

    def test_the_file_brings_back_the_very_same_settings(self, tmp_path):
        settings = make_settings(
            "dqn", "CartPole-v1", 12_345, seed=3, num_seeds=2, reward_scale=0.1, reward_clip=0.5,
            reward_shift=-2.0, reward_log=True,
            env_parameters={"gravity": "9.5"},
            hp={"learning_rate": "piecewise([(0, 1e-5), (1000, 0.1)])"}, config={"hidden_sizes": "32,16"},
            num_intervals=7, eval_episodes=5,
        )  # fmt: skip
        save(settings, tmp_path)

        assert load(tmp_path) == settings
        assert load(tmp_path).env_parameters == {"gravity": 9.5}
        assert "hidden_sizes: [32, 16]" in (tmp_path / "config.yaml").read_text()

    @pytest.mark.parametrize(
        ("text", "layers"),
        [
            ("(16,3,1),(32,3,2,1)", ((16, 3, 1), (32, 3, 2, 1))),
            ("[[16, 3, 1, 1]]", ((16, 3, 1, 1),)),
            ("((16,3,1),)", ((16, 3, 1),)),
        ],
    )
    def test_convolutions_as_text(self, tmp_path, text, layers):
        given = {"torso": "conv1d", "convolutions": text, "coordinates": "true", "pooling": "spatial_softargmax"}
        settings = make_settings("ppo", "CartPole-v1", config=given)
        assert settings.config["convolutions"] == layers and settings.config["coordinates"] is True
        save(settings, tmp_path)
        assert load(tmp_path) == settings
        words = "a list of 3 values or a list of 4 values"
        assert words in refused(make_settings, "ppo", "CartPole-v1", config={**given, "convolutions": "(16,3,1)"})

    def test_numbers_may_be_edited_by_hand(self, tmp_path):
        save(make_settings("ppo", "CartPole-v1"), tmp_path)
        path = tmp_path / "config.yaml"
        path.write_text(path.read_text().replace("clip: 0.2", "clip: 2e-1"))  # text, as YAML 1.1 sees it
        assert load(tmp_path).hyperparameters["clip"] == 0.2

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("clip: 0.2", "clip: -1", "clip=-1: must be > 0"),
            ("  clip:", "  klip:", "'klip'"),
            ("seed:", "sead:", "unknown field 'sead'; did you mean 'seed'?"),
            ("algorithm: ppo", "algorithm: pppo", "did you mean 'ppo'?"),
            ("total_steps: 500000", "total_steps:", "total_steps is missing"),
            ("env: CartPole-v1", "env: [", "not valid YAML"),
        ],
    )
    def test_a_broken_file_is_named_with_what_is_wrong(self, tmp_path, old, new, words):
        save(make_settings("ppo", "CartPole-v1"), tmp_path)
        path = tmp_path / "config.yaml"
        path.write_text(path.read_text().replace(old, new))
        message = refused(load, tmp_path)
        assert words in message and "config.yaml" in message

    def test_another_folder_is_not_one_of_a_run(self, tmp_path):
        assert "not the folder of a run" in refused(load, tmp_path)

    def test_a_run_does_not_spread_an_agent_over_devices(self):
        assert "axis_name='i'" in refused(make_settings, "ppo", "CartPole-v1", 1_000, config={"axis_name": "i"})

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"algorithm": ppo}, "must be the name of an algorithm, such as 'ppo'; give 'ppo'"),
            ({"algorithm": ppo.make(Spec("x", Box(-1, 1, (2,)), Discrete(2)))}, "an Algorithm (ppo)"),
            ({"algorithm": types.SimpleNamespace(make=1)}, "must be the name of an algorithm"),
            ({"algorithm": ppo.Config}, "must be the name of an algorithm"),
            ({"algorithm": None}, "algorithm=None"),
            ({"hp": types.SimpleNamespace(clip=0.1)}, "hp=namespace(clip=0.1): must map names to values"),
            ({"hp": ppo.Hyperparameters}, "hp=<class"),
            ({"hp": {1: 2}}, "unknown hyper-parameter of ppo 1"),
            ({"hp": {"clip": object()}}, "clip=<object"),
            ({"hp": {"clip": [[1], [1, 2]]}}, "clip=[[1], [1, 2]]"),
            ({"config": ppo.Config}, "config=<class"),
            ({"config": ppo.Hyperparameters()}, "config=Hyperparameters("),
            ({"config": {"num_envs": types.SimpleNamespace()}}, "num_envs=namespace(): must be an integer"),
            ({"env_parameters": [1]}, "env_parameters=[1]: must map names to values"),
            ({"preset": 7}, "preset=7: must be the name of a preset"),
            ({"env": types.SimpleNamespace()}, "env=namespace(): must be an id or an environment"),
            ({"env": 3}, "env=3: must be an id"),
            ({"out": 3}, "out=3: must be the path of a folder"),
            ({"total_steps": 2**63}, "total_steps=9223372036854775808: must be below 2^63"),
            ({"total_steps": 1.5}, "total_steps=1.5: must be an integer"),
        ],
    )  # fmt: skip
    def test_another_object_than_is_wanted_is_one_sentence(self, given, words):
        message = refused(lambda: train(**{"algorithm": "ppo", "env": "CartPole-v1", **given}))
        assert words in message and "\n" not in message and len(message) < 1000

    def test_every_field_is_written(self, tmp_path):
        settings = make_settings("ppo", "CartPole-v1")
        assert set(run_settings.to_dict(settings)) == {f.name for f in dataclasses.fields(RunSettings)}


class TestRewardTransform:
    rewards = [-30.0, -2.0, 0.0, 5.0, 20.0]

    @pytest.mark.parametrize(
        ("scale", "clip", "learned"),
        [
            (1.0, 1.0, [-1.0, -1.0, 0.0, 1.0, 1.0]),
            (0.1, 1.0, [-1.0, -0.2, 0.0, 0.5, 1.0]),
            (-0.1, 1.0, [1.0, 0.2, 0.0, -0.5, -1.0]),
            (0.1, None, [-3.0, -0.2, 0.0, 0.5, 2.0]),
        ],
    )
    def test_the_learner_sees_the_scaled_reward_clipped(self, scale, clip, learned):
        transform = reward_transform(make_settings("dqn", "CartPole-v1", reward_scale=scale, reward_clip=clip))
        on_host = transform(np.array([self.rewards], np.float32))
        assert isinstance(on_host, np.ndarray) and on_host.dtype == np.float32
        np.testing.assert_allclose(on_host, [learned], rtol=1e-6)
        on_device = jax.jit(transform)(jnp.array(self.rewards))
        assert on_device.dtype == jnp.float32
        np.testing.assert_allclose(on_device, learned, rtol=1e-6)

    @pytest.mark.parametrize(
        ("shaping", "learned"),
        [
            # (r + 1) * 0.5, of -30, -2, 0, 5 and 20.
            ({"reward_shift": 1.0, "reward_scale": 0.5}, [-14.5, -0.5, 0.5, 3.0, 10.5]),
            ({"reward_shift": 1.0, "reward_scale": 0.5, "reward_clip": 3.0}, [-3.0, -0.5, 0.5, 3.0, 3.0]),
            # log(min((r + 31) * 2, 32)): of 2, 58, 62, 72 and 102.
            (
                {"reward_shift": 31, "reward_scale": 2.0, "reward_clip": 32.0, "reward_log": True},
                np.log([2.0, 32.0, 32.0, 32.0, 32.0]),
            ),
            ({"reward_shift": 31.0, "reward_log": True}, np.log([1.0, 29.0, 31.0, 36.0, 51.0])),
        ],
    )
    def test_the_reward_is_shifted_scaled_clipped_and_its_logarithm_taken(self, shaping, learned):
        transform = reward_transform(make_settings("dqn", "CartPole-v1", **shaping))
        for library in (np, jnp):
            got = transform(library.array(self.rewards, dtype=np.float32))
            assert got.dtype == np.float32 and isinstance(got, np.ndarray) == (library is np)
            np.testing.assert_allclose(got, learned, rtol=1e-6)

    def test_there_may_be_nothing_to_do(self):
        assert reward_transform(make_settings("dqn", "CartPole-v1")) is None


class TestResumedSettings:
    settings = make_settings("ppo", "CartPole-v1", 1000, seed=1, config={"hidden_sizes": (8,)}, reward_clip=2.0)

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"algorithm": "ppo", "env": "CartPole-v1", "total_steps": 1000, "seed": 1, "num_seeds": None},
            {"hp": {"clip": "0.2", "learning_rate": "linear(2.5e-4, 0, fraction=1)"}, "config": {"hidden_sizes": "8"}},
            {"preset": "CartPole-v1"},
            {"reward_clip": 2, "reward_scale": 1.0, "reward_log": "false"},
        ],
    )
    def test_the_same_settings_may_be_given_again(self, given):
        require_same(self.settings, given)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"algorithm": "dqn"}, "algorithm=dqn: the run to resume has algorithm=ppo"),
            ({"total_steps": 2000}, "total_steps=2000: the run to resume has total_steps=1000"),
            ({"hp": {"clip": "0.3"}}, "hp.clip=0.3: the run to resume has hp.clip=0.2"),
            (
                {"config": {"hidden_sizes": "8,8"}},
                "config.hidden_sizes=[8, 8]: the run to resume has config.hidden_sizes=[8]",
            ),
            ({"env_parameters": {"gravity": "1"}}, "env.gravity=1"),
            ({"reward_clip": 1.0}, "reward_clip=1.0: the run to resume has reward_clip=2.0"),
            ({"reward_shift": 1.0}, "reward_shift=1.0: the run to resume has reward_shift=0.0"),
            ({"reward_log": True}, "reward_log=True: the run to resume has reward_log=False"),
            ({"reward_clip": float("inf")}, "reward_clip=None: the run to resume has reward_clip=2.0"),
            ({"preset": "none"}, "preset=None"),
            ({"hp": {"clib": "0.3"}}, "did you mean 'clip'?"),
        ],
    )
    def test_other_settings_are_refused_by_name(self, given, words):
        assert words in refused(require_same, self.settings, given)


@pytest.mark.parametrize(
    ("algorithm", "env", "config", "large"),
    [
        ("sac", "gymnasium:HalfCheetah-v5", {}, True),
        ("sac", "Pendulum-v1", {}, False),
        ("crossq", "gymnasium:HalfCheetah-v5", {"critic_sizes": (1024, 1024)}, True),
        ("ppo", "CartPole-v1", {}, False),
        ("ppo", "Pendulum-v1", {"hidden_sizes": (512, 512), "num_minibatches": 1}, True),
        ("ppo", "Breakout-MinAtar", {}, True),
        ("dqn", "atari:Pong", {}, True),
        ("dqn", "CartPole-v1", {"hidden_sizes": (4096,)}, False),
    ],
)
def test_which_products_are_worth_threads(algorithm, env, config, large):
    assert run_settings.has_large_products(make_settings(algorithm, env, 1_000, config=config)) is large


@pytest.mark.parametrize(("width", "several"), [("16,16", False), ("256,256", True)])
def test_the_pool_is_sized_before_jax_starts(width, several):
    """In a process of its own, as the command line does it."""
    script = f"""
import os
from jax._src import xla_bridge
from jaxrl.experiment import cli, startup
options = {{"algorithm": "sac", "env": "gymnasium:Pendulum-v1", "total_steps": 2000, "preset": "none",
            "config": {{"hidden_sizes": "({width})"}}}}
large = cli._has_large_products(options)
assert not xla_bridge.backends_are_initialized()
startup.prepare_jax(1, options["env"], large)
import jax
assert jax.device_count() == 1
print(os.environ["NPROC"])
"""
    env = {name: value for name, value in os.environ.items() if name not in ("NPROC", "PJRT_NPROC", "JAXRL_NPROC")}
    env |= {"JAX_PLATFORMS": "cpu", "JAXRL_CACHE_DIR": "off"}
    out = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
    assert int(out) == (available_cores() if several else 1)
