import dataclasses

import pytest

from jaxrl.experiment import cli, flags
from jaxrl.experiment.commands import COMMANDS
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.synonyms import NOTES, SYNONYMS

ENVIRONMENTS = {"env.max_episode_steps", "env.frame_skip", "env.frame_stack", "env.sticky_actions"}


def error_of(words):
    with pytest.raises(UserError) as caught:
        flags.check(words.split(), COMMANDS)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("words", "option"),
    [
        # What other libraries call it, in the group where it is here.
        ("train ppo --lr 1", "hp.learning_rate"), ("train sac --lr 1", "hp.actor_learning_rate"),
        ("train ppo --learning-rate 1", "hp.learning_rate"), ("train ppo --gamma 1", "hp.discount"),
        ("train ppo --ent_coef 1", "hp.entropy_coefficient"), ("train ppo --clip_range 1", "hp.clip"),
        ("train ppo --vf-coef 1", "hp.value_coefficient"), ("train dqn --polyak 1", "hp.tau"),
        ("train ppo --envs 8", "config.num_envs"), ("train ppo --n_envs=8", "config.num_envs"),
        ("train ppo --num_steps 8", "config.rollout_length"), ("train ppo --n_epochs 8", "config.num_epochs"),
        ("train dqn --batch_size 8", "config.batch_size"), ("train ppo --batch-size 8", "config.num_minibatches"),
        ("train dqn --buffer 8", "config.buffer_size"), ("train dqn --learning_starts 8", "config.prefill"),
        ("train dqn --train_freq 8", "config.steps_per_update"), ("train ppo --hid 8", "config.hidden_sizes"),
        ("train dqn --n_steps 8", "config.steps_per_update"), ("train iqn --per", "config.prioritized"),
        ("train ppo --total_timesteps 8", "total-steps"), ("train ppo --timesteps 8", "total-steps"),
        ("train ppo --seeds 8", "num-seeds"), ("sweep ppo --num-seeds 8", "seeds"), ("train ppo --log_dir 8", "out"),
        ("train ppo --exp_name 8", "out"), ("train ppo --env_id 8", "env"), ("eval runs/a -n 8", "episodes"),
        ("train ppo --env CartPole-v1 --gravity 8", "env.gravity"), ("play runs/a --len 8", "max-steps"),
        ("train ppo --env=CartPole-v1 --force 8", "env.force_mag"),
        # Written wrong.
        ("train ppo --total-step 8", "total-steps"), ("train --sed 8", "seed"), ("train ppo --enviroment X", "env"),
        ("train ppo --hidden-size 8", "config.hidden_sizes"), ("train ppo --learning-rat 8", "hp.learning_rate"),
        ("eval runs/a --epsiodes 8", "episodes"),
        ("train ppo --normalise_advantage", "config.normalize_advantage"), ("train --lr 1", "hp.learning_rate"),
    ],
)  # fmt: skip
def test_an_unknown_option_suggests_the_nearest_across_groups(words, option):
    assert error_of(words).endswith(f"; did you mean --{option}?")


def test_what_has_no_option_and_what_nothing_is_near():
    assert "JAX_PLATFORMS" in error_of("train ppo --device cuda")
    assert error_of("train --algo ppo").endswith("the algorithm is a word without dashes: jaxrl train ppo")
    assert error_of("train ppo --xyzzy 1") == "unknown option --xyzzy of train; `jaxrl train --help` shows all"


def test_unknown_subcommands():
    assert error_of("trian ppo").startswith("unknown command trian; did you mean 'train'?")
    assert error_of("ppo --env CartPole-v1") == "ppo is an algorithm: jaxrl train ppo --env ID"
    assert error_of("--env CartPole-v1").startswith("unknown option --env; the first word is one of train, ")


@pytest.mark.parametrize(
    "words",
    [
        "train ppo --env X --total_steps 5e5 --no-progress --reward-shift -8 --reward-clip -inf --seed=3",
        "sweep dqn --env X --grid a=1,2 --grid b=-1,2 --seeds 2",
        "eval runs/a --stochastic --checkpoint best",
        "plot a b --labels x y --out p.png",
        "list environments CartPole-v1",
    ],
)
def test_known_options_pass(words):
    flags.check(words.split(), COMMANDS)


def test_options_are_those_that_the_parser_knows(capsys):
    for name, record in COMMANDS.items():
        assert cli.main([name, "--help"]) == 0
        text = capsys.readouterr().out
        for option in flags.of_command(record):
            assert f"--{option}" in text, (name, option)
        assert len(flags.of_command(record)) >= len(dataclasses.fields(record)) - 1


def test_every_synonym_leads_to_an_option_that_there_is():
    options = {option for record in COMMANDS.values() for option in flags.of_command(record)}
    fields = set(flags.of_algorithm(None))
    targets = {target for names, _ in SYNONYMS for target in names.split()}
    assert targets <= options | fields | ENVIRONMENTS
    words = {word for _, names in SYNONYMS for word in names.split()}
    assert not words & NOTES.keys() and all(word == word.lower() and "-" not in word for word in words)
    assert set(flags.of_algorithm("ppo")) < fields


def test_a_field_is_looked_for_in_both_groups():
    hint = lambda name, group: flags.field_hint(name, group, ["learning_rate", "clip"], ["num_envs", "hidden_sizes"])
    assert hint("lr", "hp") == "; did you mean 'learning_rate'?"
    assert hint("lr", "config") == "; did you mean --hp.learning_rate?"
    assert hint("n_envs", "hp") == "; did you mean --config.num_envs?"
    assert hint("xyzzy", "hp") == ""
