import dataclasses
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import jaxrl
from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment import commands, grid
from jaxrl.experiment import run as runs
from jaxrl.experiment.cli import extract_dynamic, main, parse_grid
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.grid import expand, group
from jaxrl.experiment.loggers import read_csv
from jaxrl.experiment.play import play
from jaxrl.experiment.settings import load, make_settings
from jaxrl.experiment.startup import compilation_cache


def run(*words):
    return main([str(word) for word in words])


def error_of(capsys, *words):
    """The one line that a refused command prints."""
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    (line,) = captured.err.splitlines()
    assert line.startswith("jaxrl: error: ")
    return line.removeprefix("jaxrl: error: ")


class TestHelp:
    @pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
    def test_it_names_all_commands(self, words, capsys):
        assert run(*words) == 0
        text = capsys.readouterr().out
        assert all(command in text for command in ("train", "eval", "play", "plot", "sweep", "list"))

    def test_train_names_the_options_that_scripts_rely_on(self, capsys):
        assert run("train", "--help") == 0
        text = capsys.readouterr().out
        for option in ("--env", "--total-steps", "--seed", "--num-seeds", "--out", "--preset", "--resume"):
            assert f"{option} " in text
        assert "--hp.NAME VALUE" in text and "--config.NAME VALUE" in text

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("command", ["train", "sweep"])
    def test_the_help_of_an_algorithm_lists_its_fields_with_defaults(self, algorithm, command, capsys):
        assert run(command, algorithm, "--help") == 0
        text = capsys.readouterr().out
        for record, prefix in ((ALGORITHMS[algorithm].Hyperparameters, "hp"), (ALGORITHMS[algorithm].Config, "config")):
            for name in record.__dataclass_fields__:
                assert re.search(rf"^--{prefix}\.{name} +\S", text, re.MULTILINE), name
        assert "64,64" in text

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("train ppo --enviroment CartPole-v1", "--enviroment"),
            ("trian", "trian"),
            ("eval", "DIR"),
            ("train ppo --total-steps 1.5", "--total-steps: '1.5' is not a whole number"),
            ("train ppo --num-seeds nan", "--num-seeds: 'nan' is not a whole number"),
            ("train ppo --reward-scale abc", "--reward-scale: 'abc' is not a number"),
            ("plot x --smooth q", "--smooth: 'q' is not a whole number"),
            ("train ppo --total-steps", "--total-steps"),
            ("sweep ppo", "--env"),
        ],
    )
    def test_a_wrong_option_is_one_sentence(self, words, told, capsys):
        line = error_of(capsys, *words.split())
        assert told in line and "class" not in line and len(line) < 400


class TestList:
    def test_algorithms_presets_and_environments(self, capsys):
        assert run("list") == 0
        text = capsys.readouterr().out
        for word in ("ppo", "dqn", "ppo/CartPole-v1", "CleanRL", "Environments of gymnax", "Environments of gymnasium"):
            assert word in text

    def test_one_topic(self, capsys):
        assert run("list", "presets") == 0
        text = capsys.readouterr().out
        assert "dqn/CartPole-v1" in text and "Environments" not in text

    def test_another_topic(self, capsys):
        assert "did you mean 'presets'?" in error_of(capsys, "list", "preset")


class TestParsing:
    def test_options_with_a_dot_are_taken_out(self):
        words = ["train", "ppo", "--hp.clip", "-0.1", "--env", "X", "--config.hidden-sizes=8,8", "--env.gravity", "9"]
        assert extract_dynamic(words) == (
            ["train", "ppo", "--env", "X"],
            {"hp": {"clip": "-0.1"}, "config": {"hidden_sizes": "8,8"}, "env": {"gravity": "9"}},
        )

    @pytest.mark.parametrize("words", [["--hp.clip"], ["--hp.clip", "--env", "X"]])
    def test_they_need_a_value(self, words):
        with pytest.raises(UserError, match="--hp.clip needs a value"):
            extract_dynamic(words)

    def test_grids(self):
        assert parse_grid(["learning-rate=1e-3, 1e-4", "hidden_sizes=(8,8),(16,)"]) == {
            "learning_rate": ["1e-3", "1e-4"],
            "hidden_sizes": ["(8,8)", "(16,)"],
        }

    @pytest.mark.parametrize("options", [["learning_rate"], ["=1"], ["clip="], ["clip=1", "clip=2"]])
    def test_what_is_no_grid(self, options):
        with pytest.raises(UserError, match="--grid"):
            parse_grid(options)

    @pytest.mark.parametrize(("text", "count"), [("1000", 1000), ("5e5", 500_000), ("1_000", 1000), ("1,000", 1000)])
    def test_counts_of_steps(self, text, count):
        assert commands._count([text]) == count

    @pytest.mark.parametrize("text", ["1.5", "many", "True", ""])
    def test_other_counts(self, text, capsys):
        assert run("train", "ppo", "--env", "CartPole-v1", "--total-steps", text) == 2

    def test_the_compilation_cache_can_be_moved_and_turned_off(self, monkeypatch, tmp_path):
        monkeypatch.delenv("JAXRL_CACHE_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert compilation_cache().parent == tmp_path / "jaxrl"
        monkeypatch.setenv("JAXRL_CACHE_DIR", str(tmp_path / "mine"))
        assert compilation_cache() == tmp_path / "mine"
        monkeypatch.setenv("JAXRL_CACHE_DIR", "off")
        assert compilation_cache() is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train", "which algorithm?"),
        ("train ppo", "which environment?"),
        ("train pp0 --env CartPole-v1", "unknown algorithm 'pp0'; did you mean 'ppo'?"),
        ("train ppo --env CartPol-v1", "did you mean 'CartPole-v1'?"),
        ("train ppo --env CartPole-v1 --preset CartPole", "unknown preset 'CartPole'; did you mean 'ppo/CartPole-v1'?"),
        ("train ppo --env CartPole-v1 --hp.learning_rat 1", "did you mean 'learning_rate'?"),
        ("train ppo --env CartPole-v1 --config.num_env 1", "did you mean 'num_envs'?"),
        ("train ppo --env CartPole-v1 --hp.learning_rate -1", "learning_rate='-1': must be > 0"),
        ("train ppo --env CartPole-v1 --hp.discount 1.5", "discount='1.5': must be in [0, 1]"),
        ("train ppo --env CartPole-v1 --hp.clip x", "clip='x': must be a number, linear("),
        ("train ppo --env CartPole-v1 --config.num_envs two", "num_envs='two': must be an integer"),
        ("train ppo --env CartPole-v1 --config.num_minibatches 3", "num_minibatches=3: must divide"),
        ("train ppo --env CartPole-v1 --env.gravitas 3", "gravitas"),
        ("train ppo --env CartPole-v1 --config.hidden_sizes -5", "hidden_sizes=(-5,): must be positive integers"),
        ("train dqn --env CartPole-v1 --config.head_sizes 8,-3", "head_sizes=(8, -3): must be positive integers"),
        ("train sac --env Pendulum-v1 --config.hidden_sizes 0,2", "hidden_sizes=(0, 2): must be positive integers"),
        ("train ppo --env CartPole-v1 --config.hidden_sizes (64,64", "a bracket is not closed"),
        ("train ppo --env CartPole-v1 --config.axis_name i", "axis_name='i': is for programs"),
        ("train dqn --env CartPole-v1 --config.frame_stack 4 --total-steps 9999", "frame_stack=4: is for observations"),
        ("train dqn --env CartPole-v1 --hp.epsilon linear('a',1,fraction=1)", "must be a number, linear("),
        ("train dqn --env CartPole-v1 --hp.epsilon piecewise([(0,'x'),(1,2)])", "must be a number, linear("),
        ("train dqn --env CartPole-v1 --hp.evaluation_epsilon 3", "evaluation_epsilon='3': must be in [0, 1]"),
        ("train dqn --env CartPole-v1 --hp.epsilon linear(x,0,fraction=1)", "must be a number, linear("),
        ("train ppo --env CartPole-v1 --env.gravity abc", "gravity='abc': must be a number"),
        ("train ppo --env CartPole-v1 --env.max_episode_steps -3", "max_episode_steps=-3: must be a positive integer"),
        ("train ppo --env gymnasium:CartPole-v1 --env.max_episode_steps 0", "max_episode_steps=0: must be a positive"),
        ("train ppo --env Pendulum-v1 --env.clip_actions off", "clip_actions='off': must be true or false"),
        ("train ppo --env gymnasium:bad+name --total-steps 99", "env='bad+name'"),
        (
            "train ppo --env jaxrl.envs.toys:team --env.num_agents 3 --total-steps 99",
            "num_envs=4: must be a multiple of the 3 agents",
        ),
        ("train ppo --env CartPole-v1 --total-steps 0", "total_steps=0"),
        ("train ppo --env CartPole-v1 --num-seeds 0", "num_seeds=0"),
        ("train ppo --env CartPole-v1 --eval-episodes 0", "eval_episodes=0"),
        ("train ppo --env Acrobot-v1", "total_steps is missing"),
        ("train dqn --env Pendulum-v1 --total-steps 9999", "dqn needs a Discrete action space, got Box"),
        ("train dqn --env CartPole-v1 --total-steps 10", "total_steps=10: must be more than the prefill"),
        ("train dqn --env CartPole-v1 --reward-clip 0", "reward_clip=0: must be > 0"),
        ("train dqn --env CartPole-v1 --reward-shift inf", "reward_shift=inf: must be a finite number"),
        ("train dqn --env CartPole-v1 --reward-log ln", "reward_log='ln': must be true or false"),
        ("train dqn --env CartPole-v1 --preset cleanrl-atari", "the preset dqn/cleanrl-atari is for Atari"),
        ("train --resume {tmp}/nowhere", "not the folder of a run"),
        ("train --resume {tmp} --out {tmp}/x", "--out does not go with --resume"),
        ("eval {tmp}", "not the folder of a run"),
        ("play {tmp}", "not the folder of a run"),
        ("plot {tmp}/nowhere --out {tmp}/p.png", "not the folder of a run"),
        ("plot", "which runs?"),
        ("eval {tmp} --hp.clip 1", "belong to train and sweep"),
        ("sweep ppo --env CartPole-v1 --total-steps 99", "the grid is empty"),
        ("sweep ppo --env CartPole-v1 --grid clib=1,2", "unknown hyper-parameter or configuration field of ppo 'clib'"),
        ("sweep ppo --env CartPole-v1 --grid clip=1,-1", "clip='-1': must be > 0"),
        ("sweep ppo --env CartPole-v1 --grid num_minibatches=4,3", "num_minibatches=3: must divide"),
        ("sweep dqn --env Pendulum-v1 --grid tau=0.1,0.2 --total-steps 9999", "Discrete"),
    ],
)
def test_bad_input_is_one_clear_sentence(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(capsys, *words.format(tmp=tmp_path).split())
    assert list(tmp_path.iterdir()) == []


class TestDamagedFiles:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("metrics.csv", "no,columns\n1,2\n"), ("metrics.csv", "steps,seed\nx,0\n"),
            ("summary.json", "{}"), ("summary.json", "[1]"),
            ("config.yaml", "algorithm: 5\nenv: CartPole-v1\ntotal_steps: 9\n"),
            ("config.yaml", "algorithm: ppo\nenv: 5\ntotal_steps: 9\n"),
            ("config.yaml", "algorithm: ppo\nenv: CartPole-v1\ntotal_steps: 9\nenv_parameters: [1]\n"),
        ],
    )  # fmt: skip
    def test_they_are_named_in_one_sentence(self, copy_of_ppo, capsys, name, text):
        if name == "metrics.csv":
            (copy_of_ppo / "summary.json").unlink()
        (copy_of_ppo / name).write_text(text)
        assert main(["train", "--resume", str(copy_of_ppo), "--no-progress"]) == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith("jaxrl: error: ") and name in message


class TestMissingExtras:
    def test_weights_and_biases(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "wandb", None)
        message = error_of(capsys, "train", "ppo", "--env", "CartPole-v1", "--wandb", "x", "--out", tmp_path / "run")
        assert "pip install 'jaxrl[wandb]'" in message and not (tmp_path / "run").exists()

    def test_a_simulator(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "ale_py", None)
        message = error_of(
            capsys, "train", "ppo", "--env", "ALE/Pong-v5", "--total-steps", 100, "--out", tmp_path / "run"
        )
        assert "pip install 'jaxrl[atari]'" in message and not (tmp_path / "run").exists()


class TestWithARun:
    def test_train_says_which_preset_it_takes(self, train_tiny, tmp_path, capsys):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("jaxrl.experiment.run._run", lambda *_: 1 / 0)
            assert train_tiny("ppo", tmp_path / "run") == 3  # an error of nobody but jaxrl
        assert "preset ppo/CartPole-v1, tuned for it" in capsys.readouterr().err

    def test_the_environment_of_a_preset_and_a_clipped_reward(self, train_tiny, tmp_path, capsys):
        out = tmp_path / "run"
        assert train_tiny("dqn", out, preset="lightning-cartpole", reward_clip=0.5, num_seeds=1) == 0
        stored = load(out)
        assert (stored.preset, stored.reward_clip) == ("dqn/lightning-cartpole", 0.5)
        assert stored.env_parameters == {"max_episode_steps": 200}
        columns = read_csv(out / "metrics.csv")
        # Every step's raw reward is 1.
        np.testing.assert_allclose(columns["episode_return"], columns["episode_length"])
        capsys.readouterr()
        message = error_of(capsys, "train", "--resume", out, "--reward-clip", 1)
        assert message.startswith("reward_clip=1.0: the run to resume has reward_clip=0.5")

    def test_train_prints_the_result_and_how_to_see_it(self, train_tiny, ppo_run, tmp_path, capsys):
        assert train_tiny("ppo", tmp_path / "run") == 0
        captured = capsys.readouterr()
        assert re.search(r"final return [\d.]+ \(mean of 2 seeds", captured.out)
        assert f"jaxrl play {tmp_path / 'run'}" in captured.out
        assert captured.out.count("eval_return") == 3  # one of them before training

    def test_nothing_is_written_over(self, train_tiny, copy_of_ppo, capsys):
        before = {p: p.read_bytes() for p in copy_of_ppo.rglob("*") if p.is_file()}
        assert train_tiny("ppo", copy_of_ppo) == 2
        assert "is not empty, and nothing is written over" in capsys.readouterr().err
        assert {p: p.read_bytes() for p in copy_of_ppo.rglob("*") if p.is_file()} == before

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("dqn", "algorithm=dqn: the run to resume has algorithm=ppo"),
            ("--seed 3", "seed=3: the run to resume has seed=0"),
            ("--total-steps 512", "total_steps=512: the run to resume has total_steps=256"),
            ("--hp.clip 0.5", "hp.clip=0.5: the run to resume has hp.clip=0.2"),
            ("--config.hidden_sizes 8,8", "config.hidden_sizes=[8, 8]: the run to resume has config.hidden_sizes=[8]"),
            ("--env Pendulum-v1", "env=Pendulum-v1"),
        ],
    )
    def test_a_run_is_not_resumed_with_other_settings(self, words, message, ppo_run, capsys):
        assert message in error_of(capsys, "train", *words.split(), "--resume", ppo_run)

    def test_eval_prints_each_seed_and_the_mean(self, ppo_run, capsys):
        assert run("eval", ppo_run) == 0
        text = capsys.readouterr().out
        summary = json.loads((ppo_run / "summary.json").read_text())
        assert "step 256: 32 deterministic episodes" in text
        for seed, value in enumerate(summary["final_return"]):
            assert re.search(rf"^{seed} +{value:.2f} ", text, re.MULTILINE)
        mean = sum(summary["final_return"]) / 2
        assert re.search(rf"^all +{mean:.2f} ", text, re.MULTILINE)

    def test_eval_says_what_deviates(self, ppo_run, monkeypatch, capsys):
        """A table of one seed had a row of all seeds, with a deviation of 0.00."""
        returns = np.array([[1.0, 3.0], [6.0, 10.0]])
        for count in (2, 1):
            settings = dataclasses.replace(load(ppo_run), num_seeds=count)
            evaluation = jaxrl.training.Evaluation(returns[:count], np.full((count, 2), 7), np.full((count, 2), True))
            report = runs.EvaluationReport(settings, 256, evaluation)
            monkeypatch.setattr(runs, "evaluate_run", lambda *_, report=report, **__: report)
            assert run("eval", ppo_run) == 0
            text = capsys.readouterr().out
            assert re.search(r"^seed +mean return +deviation over episodes +lowest +highest +length *$", text, re.M)
            # Deviations by hand: of 1, 3 and of 6, 10; of all four, sqrt((16 + 4 + 1 + 25) / 4) = 3.39.
            assert re.search(r"^0 +2.00 +1.00 +1.00 +3.00 +7.00", text, re.M)
            assert bool(re.search(r"^1 +8.00 +2.00 +6.00 +10.00 +7.00", text, re.M)) == (count == 2)
            assert bool(re.search(r"^all +5.00 +3.39 +1.00 +10.00 +7.00", text, re.M)) == (count == 2)
            # Of the means 2 and 8: 6 / sqrt(2).
            assert ("the means of the 2 seeds deviate by 4.24" in text) == (count == 2)

    @pytest.mark.parametrize(("returns", "shown"), [([3.0], "3.00 +3.00"), ([1.0, 3.0], "2.00 +1.41 +1.00")])
    def test_a_sweep_says_what_deviates(self, returns, shown, monkeypatch, capsys):
        setting = grid.Setting({"clip": 0.1}, make_settings("ppo", "CartPole-v1"), np.array(returns))
        result = grid.SweepResult(Path("runs/x"), [setting], 1.0)
        monkeypatch.setattr(grid, "sweep", lambda *_, **__: result)
        words = ("--grid", "clip=0.1", "--seeds", len(returns), "--total-steps", "64")
        assert run("sweep", "ppo", "--env", "CartPole-v1", *words) == 0
        text = capsys.readouterr().out
        assert "deviation over seeds" in text and re.search(rf"^0.1 +{shown} *$", text, re.M)

    def test_eval_and_play_take_the_same_checkpoint(self, ppo_run, tmp_path, capsys):
        assert commands.Eval.checkpoint == commands.Play.checkpoint == "latest"
        for function in (runs.evaluate_run, play):
            assert inspect.signature(function).parameters["checkpoint"].default == "latest"
        assert run("play", ppo_run, "--out", tmp_path / "x.gif", "--max-steps", "1") == 0
        assert "the policy of seed 0 at step 256" in capsys.readouterr().out

    def test_eval_of_another_checkpoint_with_other_episodes(self, ppo_run, capsys):
        assert run("eval", ppo_run, "--checkpoint", "192", "--episodes", "3", "--stochastic") == 0
        assert "step 192: 3 stochastic episodes" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--checkpoint 7", "there is no checkpoint 7"),
            ("--checkpoint first", "must be latest, best, or a number of steps"),
            ("--episodes 0", "episodes=0: must be positive"),
        ],
    )
    def test_eval_of_what_is_not_there(self, words, message, ppo_run, capsys):
        assert message in error_of(capsys, "eval", ppo_run, *words.split())

    def test_damaged_checkpoints_fall_back_until_there_is_none(self, copy_of_ppo, capsys):
        steps = sorted((int(p.name) for p in (copy_of_ppo / "checkpoints").iterdir()), reverse=True)
        (copy_of_ppo / "checkpoints" / str(steps[0]) / "metadata.json").write_text("{")
        assert run("eval", copy_of_ppo, "--episodes", "3", "--stochastic") == 0
        captured = capsys.readouterr()
        assert f"the checkpoint of step {steps[0]} is damaged" in captured.err and f"step {steps[1]}" in captured.err
        for step in steps[1:]:
            shutil.rmtree(copy_of_ppo / "checkpoints" / str(step) / "state")
        assert "is damaged" in error_of(capsys, "eval", copy_of_ppo)

    def test_plot_draws_several_runs(self, ppo_run, dqn_run, tmp_path, capsys):
        out = tmp_path / "curves.png"
        options = ["--metric", "episode_return", "--smooth", "2", "--labels", "a", "b"]
        assert run("plot", ppo_run, dqn_run, "--out", out, *options) == 0
        assert out.read_bytes().startswith(b"\x89PNG") and str(out) in capsys.readouterr().out

    def test_plot_of_a_metric_that_is_not_there(self, ppo_run, tmp_path, capsys):
        message = error_of(capsys, "plot", ppo_run, "--metric", "episode_retrn", "--out", tmp_path / "p.png")
        assert "did you mean 'episode_return'?" in message


class TestSweep:
    def test_a_grid_of_leaves_is_ranked(self, tmp_path, capsys):
        tiny = [
            "--config.num_envs",
            "2",
            "--config.rollout_length",
            "8",
            "--config.num_epochs",
            "1",
            "--config.hidden_sizes",
            "8",
        ]
        out = tmp_path / "sweep"
        words = ["--grid", "learning_rate=1e-3,1e-30,1e-2", "--seeds", "2", "--seed", "5"]
        assert run("sweep", "ppo", "--env", "CartPole-v1", "--total-steps", "64", "--out", out, *words, *tiny) == 0

        captured = capsys.readouterr()
        assert "3 settings x 2 seeds, 1 compiled program;" in captured.err
        header, *lines = (out / "results.csv").read_text().splitlines()
        assert header == "learning_rate,seed,final_return" and len(lines) == 6
        returns = {}
        for line in lines:
            value, seed, final = line.rsplit(",", 2)
            returns.setdefault(value, []).append(float(final))
            assert seed in ("5", "6")
        means = [sum(values) / 2 for values in returns.values()]
        assert means == sorted(means, reverse=True) and len(returns) == 3
        assert captured.out.index("mean final return") < captured.out.index(f"{means[0]:.2f}")
        assert (out / "sweep.png").exists() and "learning_rate" in (out / "sweep.yaml").read_text()
        assert "is not empty" in error_of(capsys, "sweep", "ppo", "--env", "CartPole-v1", "--out", out, *words, *tiny)

    def test_settings_of_one_form_share_a_program(self):
        base = make_settings("ppo", "CartPole-v1", reward_clip=0.5)
        values = {
            "learning_rate": ["1e-3", "1e-4", "linear(1e-3,0,fraction=1)"],
            "hidden_sizes": ["(8,8)", (16,)],
            "clip": [0.1],
        }
        combinations = expand(base, values)
        assert [v for v, _ in combinations][1] == {"learning_rate": 1e-3, "hidden_sizes": (16,), "clip": 0.1}
        assert all(settings.reward_clip == 0.5 for _, settings in combinations)
        assert combinations[1][1].config["hidden_sizes"] == (16,) and combinations[1][1].preset == "ppo/CartPole-v1"
        # Two sizes; for each the numbers are one program and the schedule is another.
        assert sorted(map(len, group(combinations))) == [1, 1, 2, 2]

    def test_a_name_may_say_whether_it_is_a_hyperparameter(self):
        base = make_settings("ppo", "CartPole-v1")
        ((values, settings),) = expand(base, {"hp.clip": ["0.1"], "config.num_envs": ["8"]})
        assert values == {"clip": 0.1, "num_envs": 8}
        assert (settings.hyperparameters["clip"], settings.config["num_envs"]) == (0.1, 8)


class TestProcess:
    """What only a process of its own shows."""

    def test_bad_input_has_status_2_and_no_traceback(self):
        command = [sys.executable, "-m", "jaxrl", "train", "pppo", "--env", "CartPole-v1"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            f"jaxrl: error: unknown algorithm 'pppo'; did you mean 'ppo'?; there are {', '.join(ALGORITHMS)}"
        ]

    def test_ctrl_c_saves_and_resume_goes_on(self, tmp_path):
        out = tmp_path / "run"
        command = [sys.executable, "-m", "jaxrl", "train", "ppo", "--env", "CartPole-v1", "--total-steps", "1e8"]
        command += ["--num-intervals", "50000", "--num-evaluations", "1", "--num-checkpoints", "1"]
        command += ["--config.hidden_sizes", "8", "--config.num_epochs", "1", "--out", str(out)]
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cli_cache()}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            deadline = time.monotonic() + 300
            while not (out / "metrics.csv").exists() or len((out / "metrics.csv").read_text().splitlines()) < 3:
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode == 130
        assert f"jaxrl train --resume {out}" in error.splitlines()[-1] and "Traceback" not in error
        (checkpoint,) = (out / "checkpoints").iterdir()
        assert int(checkpoint.name) > 0
        summary = json.loads((checkpoint / "metadata.json").read_text())["metadata"]
        assert summary["settings"]["total_steps"] == 10**8


def cli_cache():
    """The compilation cache of the tests."""
    import jax

    return jax.config.jax_compilation_cache_dir
