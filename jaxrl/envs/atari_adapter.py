"""Atari 2600 games, stepped by the native threads of the Arcade Learning Environment.

The simulator delivers single frames; the stack of the newest ones is kept here, on the last axis. So a stack is
its predecessor moved on by one frame, except where an episode began, and there it is padded with zeros.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from jaxrl.envs.gate import Gate
from jaxrl.envs.gymnasium_adapter import seeds_of
from jaxrl.envs.host import HostEnvironment, HostStep, RunningEpisodes, VectorEnv
from jaxrl.types import TimeStep
from jaxrl.validation import did_you_mean, require

PREFIX = "atari"

FRAMES_PER_SECOND = 60
NO_LIMIT = 2**31 - 1
SCREEN = (210, 160)
"""Height and width of most games' pictures."""
CACHE_LINE = 64
"""Bytes, to a multiple of which JAX's arrays on a CPU are aligned."""
MULTIPLAYER = {"combat", "joust", "maze_craze", "warlords"}
"""Games that one player alone cannot play."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The rules of an experiment. Frames are those of the game, 60 a second."""

    noop_max: int = 30
    """A game begins with fewer than so many frames without an action, a uniformly distributed number."""
    frame_skip: int = 4
    """Frames for which an action is held."""
    max_pool: bool = True
    """Whether a frame is the maximum of the last two that were skipped, against flicker."""
    image_size: int = 84
    """Height and width of the grey frames."""
    frame_stack: int = 4
    """Frames of an observation."""
    sticky_actions: float = 0.0
    """The probability, in each frame, that the action before is held on."""
    episodic_life: bool = True
    """Whether a lost life terminates, for the learner. The game goes on, and evaluations play whole games."""
    full_action_space: bool = False
    """Whether all 18 actions are there, and not only those that the game knows."""
    max_episode_frames: int = 108_000
    """Frames after which a game is truncated: half an hour."""
    fire_reset: bool = True
    """Whether a game begins with the button pressed for one frame, where it has one."""
    num_threads: int = 0
    """Threads that step the games of a vector environment; 0 for one a core, but not more than games."""

    @property
    def max_steps(self) -> int:
        """Steps after which a game is truncated."""
        return -(-self.max_episode_frames // self.frame_skip)


PROTOCOLS: dict[str, dict[str, Any]] = {
    "classic": {"noop_max": 30, "sticky_actions": 0.0, "episodic_life": True, "fire_reset": True},
    "machado": {"noop_max": 0, "sticky_actions": 0.25, "episodic_life": False, "fire_reset": False},
}
"""What two conventions say: Mnih et al. 2015 as OpenAI Baselines has it; Machado et al. 2018, section 5."""


def names() -> list[str]:
    """The games, as Gymnasium spells them: ``Pong``, ``SpaceInvaders``.

    Raises:
        ImportError: if the simulator is not installed.
    """
    return sorted(_games())


def make(name: str, *, protocol: str = "classic", **parameters: Any) -> HostEnvironment:
    """Make an Atari game, whose observations are ``[image_size, image_size, frame_stack]`` uint8, oldest frame first.

    Rewards are always the raw ones; clip what is learned from with the run's transform of the reward. Statistics
    are of whole games (``info["episode_ended"]``), although a lost life may terminate for the learner.

    Args:
        name: of the game.
        protocol: ``"classic"`` or ``"machado"``, see ``PROTOCOLS``.
        **parameters: fields of ``Options``, which have precedence.

    Raises:
        ValueError: if there is no such game, protocol or parameter, or a value cannot be.
        ImportError: if the simulator is not installed.
    """
    options = _options(name, protocol, parameters)
    try:
        games = _games()
    except ImportError as error:
        raise ImportError(
            f"env={name!r}: it needs a simulator that is not installed: pip install 'jaxrl[atari]'"
        ) from error
    if name not in games:
        bare = re.sub(r"^ALE/|NoFrameskip|Deterministic|-v\d+$", "", name)
        raise ValueError(f"env={name!r}: atari has no such game{did_you_mean(bare, games)}")
    rom = games[name]
    whole_games = dataclasses.replace(options, episodic_life=False)
    size, stack = options.image_size, options.frame_stack
    return HostEnvironment(
        name=name,
        observation_space=spaces.Box(0, 255, (size, size, stack), np.uint8),
        action_space=_simulator(rom, 1, options).single_action_space,
        max_episode_steps=options.max_steps,
        make_vector=lambda num_envs: AtariVector(rom, num_envs, options),
        make_single=lambda render_mode=None: AtariGame(rom, whole_games, render_mode),
        make_eval_vector=lambda num_envs: AtariVector(rom, num_envs, whole_games),
        frame_stack=stack,
    )


class AtariVector(VectorEnv):
    """A ``VectorEnv`` of one game, reset in the very step that ends it.

    Args:
        rom: the game's name in snake_case.
        num_envs: games.
        options: rules.
    """

    def __init__(self, rom: str, num_envs: int, options: Options):
        self.num_envs = num_envs
        self._envs = _simulator(rom, num_envs, options)
        self._gate = Gate(rom, num_envs, spaces.Box(0, 255, self._envs.single_observation_space.shape, np.uint8))
        self._size, self._max_steps = options.frame_stack, options.max_steps
        self._nowhere = np.zeros(num_envs, bool)
        self._num_actions = int(self._envs.single_action_space.n)
        self._episodes = RunningEpisodes(num_envs)

    def reset(self, seed: int) -> np.ndarray:
        """Start new games, with a seed for each that ``numpy.random.SeedSequence(seed)`` makes."""
        self._episodes = RunningEpisodes(self.num_envs)
        self._gate.steps = 0
        frames, info = self._gate.call("reset", self._envs.reset, seed=_seeds(seed, self.num_envs))
        self._gate.observations(frames, "reset")
        self._began = _beginnings(info)
        self._due = np.full(self.num_envs, self._max_steps)
        self._steps, self._next_due = 0, self._max_steps
        self._observation = _first_stack(frames[:, 0], self._size)
        return self._observation

    def send(self, action: np.ndarray) -> None:
        action = np.asarray(action, np.int32)
        # The simulator would wait for ever. (A negative number is a large one without its sign.)
        if action.view(np.uint32).max() >= self._num_actions:
            raise ValueError(f"action={action.tolist()}: must be from 0 to {self._num_actions - 1}")
        self._envs.send(action)

    def receive(self) -> HostStep:
        return self._step_of(*self._gate.call("step", self._envs.recv))

    def receive_and_send(self, action: np.ndarray) -> HostStep:
        if self._steps + 1 >= self._next_due:  # games may have to be reset first
            return super().receive_and_send(action)
        received = self._gate.call("step", self._envs.recv)
        self.send(action)
        return self._step_of(*received)

    def close(self) -> None:
        # Its threads end with it.
        self._envs = None

    def _step_of(
        self,
        frames: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, np.ndarray],
    ) -> HostStep:
        """The step that the simulator delivered; it does not truncate by itself."""
        frames, reward = frames[:, 0], reward.astype(np.float32)
        self._steps = self._gate.steps = self._steps + 1
        observation = next_observation = _next_stack(self._observation, frames)
        over = truncated = self._nowhere
        if self._steps >= self._next_due or terminated.any():
            next_observation = observation.copy()
            over, truncated = self._end(frames, terminated, info, observation, next_observation)
        self._observation = observation
        info = {**self._episodes.add(reward, over), "episode_ended": over}
        return HostStep(TimeStep(observation, next_observation, reward, terminated, truncated, info), None)

    def _end(
        self,
        frames: np.ndarray,
        terminated: np.ndarray,
        info: dict[str, np.ndarray],
        observation: np.ndarray,
        next_observation: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write both observations where a life or a game ended. Returns where games ended, and were truncated."""
        # With lives, ``terminated`` does not tell whether the simulator has begun a new game.
        began = _beginnings(info)
        over = began != self._began
        if over.any():
            next_observation[over] = _next_stack(self._observation[over], info["final_obs"][over, 0])
        late = ~over & (self._steps >= self._due)
        if late.any():
            # The simulator can do this by itself, but then it does not draw what was the last frame.
            frames, info = self._gate.call("reset", self._envs.reset, options={"reset_mask": late})
            frames, began, over = frames[:, 0], _beginnings(info), over | late
        ended = terminated | late
        observation[ended] = _first_stack(frames[ended], self._size)
        self._began = began
        self._due[over] = self._steps + self._max_steps
        self._next_due = self._due.min()
        return over, late & ~terminated


class AtariGame(gymnasium.Env):
    """One game for watching: what the policy sees as observation, the picture in colour as ``render()``.

    A second simulator plays the same game in step, and draws. So observations are those of training to the bit,
    and no image library is needed.
    """

    def __init__(self, rom: str, options: Options, render_mode: str | None = None):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode={render_mode!r}: must be 'rgb_array' or None")
        self.metadata = {
            "render_modes": ["rgb_array"], "render_fps": max(1, round(FRAMES_PER_SECOND / options.frame_skip))
        }  # fmt: skip
        self.render_mode = render_mode
        self._game = AtariVector(rom, 1, options)
        self._painter = None if render_mode is None else _simulator(rom, 1, options, in_colour=True)
        size = options.image_size
        self.observation_space = spaces.Box(0, 255, (size, size, options.frame_stack), np.uint8)
        self.action_space = spaces.Discrete(self._game._num_actions)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        seed = int(self.np_random.integers(2**31)) if seed is None else seed
        observation = self._game.reset(seed)
        if self._painter is not None:
            self._picture = self._painter.reset(seed=_seeds(seed, 1))[0][0, 0]
        return observation[0], {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        action = np.array([action], np.int32)
        timestep = self._game.step(action).timestep
        if self._painter is not None:
            pictures, _, terminated, _, info = self._painter.step(action)
            self._picture = (info["final_obs"] if terminated[0] else pictures)[0, 0]
        reward, terminated, truncated = timestep.reward[0], timestep.terminated[0], timestep.truncated[0]
        return timestep.next_observation[0], float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> np.ndarray | None:
        return None if self._painter is None else self._picture

    def close(self) -> None:
        self._game.close()
        self._painter = None


def _games() -> dict[str, str]:
    """The names of ROMs, by the names of games."""
    from ale_py import roms

    return {rom.title().replace("_", ""): rom for rom in roms.get_all_rom_ids() if rom not in MULTIPLAYER}


def _simulator(rom: str, num_envs: int, options: Options, in_colour: bool = False) -> Any:
    """An ``AtariVectorEnv`` that delivers single frames.

    Its ``episodic_life`` would throw away the rest of a game in which a life is lost; its ``life_loss_info``
    only says that one was.
    """
    from ale_py.vector_env import AtariVectorEnv

    height, width = SCREEN if in_colour else (options.image_size, options.image_size)
    return AtariVectorEnv(
        rom,
        num_envs,
        num_threads=options.num_threads,
        max_num_frames_per_episode=NO_LIMIT,
        repeat_action_probability=options.sticky_actions,
        full_action_space=options.full_action_space,
        autoreset_mode=AutoresetMode.SAME_STEP,
        img_height=height,
        img_width=width,
        grayscale=not in_colour,
        stack_num=1,
        frameskip=options.frame_skip,
        maxpool=options.max_pool,
        noop_max=options.noop_max,
        episodic_life=False,
        life_loss_info=options.episodic_life,
        reward_clipping=False,
        use_fire_reset=options.fire_reset,
    )


def _seeds(seed: int, num_envs: int) -> np.ndarray:
    return np.array(seeds_of(seed, num_envs), np.int64) & 0x7FFFFFFF


def _beginnings(info: dict[str, np.ndarray]) -> np.ndarray:
    """``[B]`` frames that were played before the games under way: it changes where a game was reset, and only there."""
    return info["frame_number"] - info["episode_frame_number"]


def _first_stack(frame: np.ndarray, size: int) -> np.ndarray:
    """``[B, H, W, size]``: zeros, and last the frame ``[B, H, W]``."""
    stack = np.zeros((*frame.shape, size), np.uint8)
    stack[..., -1] = frame
    return stack


def _next_stack(stack: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The stack ``[B, H, W, size]`` moved on by a frame ``[B, H, W]``.

    Two, four or eight bytes are moved as one integer, which is much faster than byte by byte.
    """
    size = stack.shape[-1]
    moved = _aligned(stack.shape)
    if size in (2, 4, 8):
        np.right_shift(stack.view(f"<u{size}"), 8, out=moved.view(f"<u{size}"))
    else:
        moved[..., :-1] = stack[..., 1:]
    moved[..., -1] = frame
    return moved


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An array of bytes that begins where a cache line does: JAX on a CPU uses it as it is, and copies others."""
    size = math.prod(shape)
    room = np.empty(size + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    return room[start : start + size].reshape(shape)


def _options(name: str, protocol: str, parameters: dict[str, Any]) -> Options:
    require(
        protocol in PROTOCOLS, "protocol", protocol,
        f"must be one of {', '.join(PROTOCOLS)}{did_you_mean(str(protocol), PROTOCOLS)}",
    )  # fmt: skip
    known = {field.name: type(field.default) for field in dataclasses.fields(Options)}
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(
                f"env={name!r}: atari has no parameter {parameter!r}{did_you_mean(parameter, [*known, 'protocol'])}"
            )
    options = Options(**{**PROTOCOLS[protocol], **parameters})
    least = {"noop_max": 0, "num_threads": 0}
    for field, kind in known.items():
        value = getattr(options, field)
        if kind is bool:
            require(isinstance(value, bool), field, value, "must be true or false")
        elif kind is int:
            lowest = least.get(field, 1)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole and value >= lowest, field, value, f"must be an integer >= {lowest}")
    sticky = options.sticky_actions
    number = isinstance(sticky, (int, float)) and not isinstance(sticky, bool)
    require(number and 0 <= sticky < 1, "sticky_actions", sticky, "must be a probability below 1, such as 0.25")
    return options
