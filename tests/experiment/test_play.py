import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from jaxrl.envs import make
from jaxrl.experiment import folder
from jaxrl.experiment.cli import main
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.play import frames, has_display, play, player_of, show


def number_of_frames(path):
    with Image.open(path) as image:
        return image.n_frames, image.size


def test_play_writes_a_gif_of_a_compiled_environment(ppo_run, tmp_path, capsys):
    out = tmp_path / "x.gif"
    assert main(["play", str(ppo_run), "--out", str(out), "--max-steps", "4", "--episodes", "2", "--seed", "1"]) == 0
    text = capsys.readouterr().out
    assert "episode 1: return 4.0, 4 steps" in text and "episode 2: return 4.0, 4 steps" in text and str(out) in text
    # The first picture and one for each step, in each episode.
    count, size = number_of_frames(out)
    assert 2 <= count <= 10 and min(size) > 100


def test_the_frames_are_those_of_the_policy(ppo_run):
    opened = folder.open_run(ppo_run)
    player = player_of(opened)
    shown = list(frames(player, 2, 500, jax.random.key(0)))
    for episode in (0, 1):
        own = [f for f in shown if f.episode == episode]
        assert [f.episode_length for f in own] == list(range(len(own)))
        # CartPole pays 1 for each step.
        assert [f.episode_return for f in own] == [float(i) for i in range(len(own))]
        assert own[0].image.dtype == np.uint8 and own[0].image.shape[2] == 3
        assert any((f.image != own[0].image).any() for f in own)


def test_each_seed_has_a_policy_of_its_own(ppo_run):
    opened = folder.open_run(ppo_run)
    a, b = (jax.tree.leaves(player_of(opened, seed).policy) for seed in (0, 1))
    assert any((x != y).any() for x, y in zip(a, b, strict=True))
    with pytest.raises(UserError, match="seed=2: the run has the seeds 0 to 1"):
        player_of(opened, 2)


def test_the_same_policy_plays_on_the_host(ppo_run):
    player = player_of(folder.open_run(ppo_run))._replace(env=make("gymnasium:CartPole-v1"))
    shown = list(frames(player, 1, 3, jax.random.key(0)))
    assert [(f.episode_return, f.episode_length) for f in shown] == [(float(i), i) for i in range(4)]
    assert all(f.image.shape == (400, 600, 3) and f.image.dtype == np.uint8 for f in shown)
    assert (shown[0].image != shown[-1].image).any()


def test_an_environment_that_cannot_be_drawn(ppo_run, tmp_path):
    opened = folder.open_run(ppo_run)
    env = dataclasses.replace(opened.built.env, render=None)
    with pytest.raises(UserError, match="cannot be drawn"):
        play(ppo_run, out=tmp_path / "x.gif", env=env)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed 7", "seed=7: the run has the seeds 0 to 1"),
        ("--episodes 0", "episodes=0: must be positive"),
        ("--fps 0", "fps=0: must be positive"),
        ("--window", "exclude each other"),
        ("--checkpoint 3", "there is no checkpoint 3"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(words, message, ppo_run, tmp_path, capsys):
    assert main(["play", str(ppo_run), "--out", str(tmp_path / "x.gif"), "--max-steps", "1", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not (tmp_path / "x.gif").exists()


def test_a_window_where_there_is_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_display()


def test_a_window_shows_every_picture(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    taken = []

    def pictures():
        for i in range(3):
            taken.append(i)
            yield np.full((40, 60, 3), i, np.uint8)

    show(pictures(), fps=1000, title="test")
    assert taken == [0, 1, 2]
