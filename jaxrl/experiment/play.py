"""Watching a trained policy: frames of whole episodes, into a video or a window."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs import Environment, HostEnvironment, rescale_action
from jaxrl.envs.actions import list_of_actions
from jaxrl.envs.gate import Gate, checked, picture
from jaxrl.experiment import folder
from jaxrl.experiment.errors import UserError, environments_may_raise
from jaxrl.experiment.interruptions import watched
from jaxrl.schedules import resolve
from jaxrl.training.evaluation import LONGEST_EPISODE
from jaxrl.types import Algorithm, PyTree


class Frame(NamedTuple):
    """A picture of an episode, and what was earned until then."""

    image: np.ndarray
    """``[H, W, 3]`` uint8."""
    episode: int
    episode_return: float
    episode_length: int


class Played(NamedTuple):
    """Episodes that were shown."""

    episode_return: list[float]
    episode_length: list[int]
    path: Path | None
    """The video; None if there was a window."""
    seed: int
    """Whose policy acted."""
    step: int
    """Environment steps of the checkpoint."""


class Player(NamedTuple):
    """A policy that is ready to act in a single environment."""

    agent: Algorithm
    env: Any
    policy: PyTree
    hp: Any
    explore: bool


@watched()
@environments_may_raise()
def play(
    directory: Path | str,
    *,
    out: Path | str | None = None,
    window: bool | None = None,
    num_episodes: int = 1,
    seed: int | None = None,
    checkpoint: int | Literal["latest", "best"] = "latest",
    deterministic: bool = True,
    max_steps: int = 1000,
    fps: int | None = None,
    env: Any = None,
) -> Played:
    """Show episodes of a run's policy.

    Args:
        directory: the run's folder.
        out: the video, ``.gif`` or ``.mp4``; by default ``play.gif`` in the folder.
        window: show a window instead; by default where there is a display and no ``out`` is given.
        num_episodes: episodes to show.
        seed: the seed of the run whose policy acts; by default the first.
        checkpoint: ``"latest"``, ``"best"`` or a number of steps.
        deterministic: whether to act without exploration.
        max_steps: longest part of an episode that is shown.
        fps: frames a second; by default what the environment asks for, or 30.
        env: see ``resume``.

    Raises:
        UserError: if there is no such run, seed or checkpoint, or the environment cannot be drawn.
    """
    for name, value in (("episodes", num_episodes), ("max_steps", max_steps), ("fps", 1 if fps is None else fps)):
        if value < 1:
            raise UserError(f"{name}={value}: must be positive")
    if window and out is not None:
        raise UserError("--window and --out exclude each other: choose one")
    window = (out is None and has_display()) if window is None else window
    opened = folder.open_run(directory, checkpoint=checkpoint, env=env)
    player = player_of(opened, seed, explore=not deterministic)
    shown = frames(player, num_episodes, max_steps, key=jax.random.key(opened.settings.seed))
    ends: dict[int, Frame] = {}

    def images() -> Iterator[np.ndarray]:
        for frame in shown:
            ends[frame.episode] = frame
            yield frame.image

    fps = fps or _fps(player.env)
    path = None
    if window:
        show(images(), fps, title=f"{opened.settings.algorithm} {opened.settings.env}, step {opened.step}")
    else:
        from jaxrl.experiment.videos import write_video

        path = Path(out) if out is not None else Path(directory) / "play.gif"
        write_video(list(images()), path, fps)
    returns, lengths = [f.episode_return for f in ends.values()], [f.episode_length for f in ends.values()]
    return Played(returns, lengths, path, opened.settings.seed if seed is None else seed, opened.step)


def has_display() -> bool:
    """Whether a window could be shown."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def player_of(opened: folder.Opened, seed: int | None = None, *, explore: bool = False) -> Player:
    """The policy of one seed of a run."""
    settings = opened.settings
    seed = settings.seed if seed is None else seed
    if seed not in settings.seeds:
        raise UserError(f"seed={seed}: the run has the seeds {settings.seeds[0]} to {settings.seeds[-1]}")
    agent = opened.built.agent
    lane = jax.tree.map(lambda x: x[settings.seeds.index(seed)], opened.state.agent)
    steps = float(opened.step)
    hp = resolve(opened.built.hp, steps, steps / settings.total_steps)
    return Player(agent, opened.built.env, agent.evaluated(lane), hp, explore)


def frames(player: Player, num_episodes: int, max_steps: int, key: jax.Array) -> Iterator[Frame]:
    """Play episodes and draw each state, the first and the last included.

    Raises:
        UserError: if the environment cannot be drawn.
    """
    compiled = isinstance(player.env, Environment)
    one = _compiled_episode if compiled else _host_episode
    several = compiled and player.env.num_agents > 1  # whose observations have an axis for them already

    @jax.jit
    def act(observation: PyTree, carry: PyTree, key: jax.Array) -> tuple[PyTree, PyTree]:
        batch = observation if several else jax.tree.map(lambda x: jnp.asarray(x)[None], observation)
        action, carry, _ = player.agent.act(player.policy, batch, carry, key, player.hp, player.explore)
        return action if several else jax.tree.map(lambda x: x[0], action), carry

    for episode in range(num_episodes):
        total = 0.0
        for t, (image, reward) in enumerate(one(player, act, jax.random.fold_in(key, episode), max_steps)):
            total += reward
            yield Frame(picture(player.env.name, image), episode, total, t)


def show(images: Iterator[np.ndarray], fps: int, title: str) -> None:
    """Show pictures in a window until they end or it is closed."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError:
        raise UserError("a window needs pygame: pip install 'jaxrl[render]' (or write a video: --out FILE)") from None
    first = next(images)
    try:
        pygame.init()
        screen = pygame.display.set_mode(first.shape[1::-1])
    except pygame.error as error:
        raise UserError(f"cannot open a window ({error}): write a video with --out FILE") from None
    pygame.display.set_caption(title)
    clock = pygame.time.Clock()
    for image in itertools.chain([first], images):
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            break
        screen.blit(pygame.surfarray.make_surface(image.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        clock.tick(fps)
    pygame.quit()


def _compiled_episode(player: Player, act: Any, key: jax.Array, max_steps: int) -> Iterator[tuple[np.ndarray, float]]:
    if player.env.render is None:
        raise UserError(f"{player.env.name} cannot be drawn: its Environment has no function render(state)")
    env = rescale_action(checked(player.env))
    step = jax.jit(env.step)
    reset_key, key = jax.random.split(key)
    state, observation = jax.jit(env.reset)(reset_key)
    carry = player.agent.initial_carry(env.num_agents)
    yield env.render(state), 0.0
    for t in range(min(max_steps, env.max_episode_steps or LONGEST_EPISODE)):
        act_key, env_key = jax.random.split(jax.random.fold_in(key, t))
        action, carry = act(observation, carry, act_key)
        state, timestep = step(state, action, env_key)
        observation = timestep.observation
        yield env.render(state), float(np.sum(timestep.reward)) / env.num_agents
        if timestep.terminated or timestep.truncated:
            return


def _host_episode(player: Player, act: Any, key: jax.Array, max_steps: int) -> Iterator[tuple[np.ndarray, float]]:
    host: HostEnvironment = player.env
    if host.make_single is None:
        raise UserError(f"{host.name} cannot be drawn: its HostEnvironment has no make_single(render_mode)")
    to_own = list_of_actions(host.action_space)
    try:
        env = host.make_single("rgb_array")
    except (ImportError, ValueError, gymnasium.error.Error) as error:
        raise UserError(f"{host.name} cannot be drawn: {error}") from error
    try:
        gate = Gate(host.name, 1, env.observation_space, host.reward_shape)
        seen = lambda observation, call: jax.tree.map(lambda x: x[0], gate.observations([observation], call))
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        observation = seen(gate.first(gate.call("reset", env.reset, seed=seed)), "reset")
        carry = player.agent.initial_carry(1)
        yield _picture(env, host.name), 0.0
        for t in range(min(max_steps, host.max_episode_steps or LONGEST_EPISODE)):
            action, carry = act(observation, carry, jax.random.fold_in(key, t))
            action = to_own(jax.tree.map(lambda x: np.asarray(x)[None], jax.device_get(action)))[0]
            observation, reward, terminated, truncated, _ = gate.five(gate.call("step", env.step, action))
            observation, reward = seen(observation, "step"), gate.rewards([reward], "step")
            gate.steps += 1
            yield _picture(env, host.name), float(np.sum(reward))
            if gate.terminated([terminated], "step")[0] or gate.truncated([truncated], "step")[0]:
                return
    finally:
        env.close()


def _picture(env: gymnasium.Env, name: str) -> np.ndarray:
    try:
        image = env.render()
    except (ImportError, gymnasium.error.Error) as error:
        hint = "pip install 'jaxrl[render]' covers the classic environments"
        raise UserError(f"{name} cannot be drawn: {error} ({hint})") from error
    if not isinstance(image, np.ndarray):
        raise UserError(f"{name} cannot be drawn: it does not know the render mode rgb_array")
    return image


def _fps(env: Any) -> int:
    if isinstance(env, HostEnvironment) and env.make_single is not None:
        single = env.make_single(None)
        single.close()
        return int(single.metadata.get("render_fps", 30))
    return 30
