"""Pictures of compiled environments, drawn on the host and without a display."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from jaxrl.envs.environment import Environment, EnvState

Frame = np.ndarray
"""``[H, W, 3]`` uint8."""

SIDE = 400
"""Pixels of the longer side of a picture, about."""

CLASSIC = {
    "CartPole-v1": ("x", "x_dot", "theta", "theta_dot"),
    "Pendulum-v1": ("theta", "theta_dot"),
    "Acrobot-v1": ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"),
    "MountainCar-v0": ("position", "velocity"),
    "MountainCarContinuous-v0": ("position", "velocity"),
}
"""gymnax's fields of the state, in the order of Gymnasium's state vector."""

# The background, then a colour for each channel.
PALETTE = np.array(
    [
        (20, 20, 30), (86, 180, 233), (230, 159, 0), (0, 158, 115), (213, 94, 0), (240, 228, 66), (204, 121, 167),
        (0, 114, 178), (160, 160, 160), (148, 103, 189), (250, 250, 250),
    ],
    np.uint8,
)  # fmt: skip


def render(env: Environment, state: EnvState) -> Frame:
    """Draw one state of an environment (not a batch of them).

    Args:
        env: a compiled environment.
        state: one that its ``reset`` or ``step`` returned.

    Raises:
        ValueError: if nobody has said how to draw the environment.
    """
    if env.render is None:
        raise ValueError(
            f"env={env.name!r}: it cannot be drawn; give the Environment a function render(state) -> [H, W, 3] uint8"
        )
    return env.render(state)


def gymnax_renderer(env: Any, params: Any, name: str) -> Callable[[EnvState], Frame] | None:
    """How to draw the states of a gymnax environment; None if it is neither classic control nor a grid."""
    if name in CLASSIC:
        return lambda state: draw_classic(name, state)
    if len(getattr(env.observation_space(params), "shape", None) or ()) not in (2, 3):
        return None
    if hasattr(env, "observe"):
        observe = lambda state: env.observe(jax.random.key(0), state, None, params)
    else:
        observe = lambda state: env.get_obs(state)
    observe = jax.jit(observe)
    return lambda state: draw_grid(np.asarray(observe(state)))


def draw_grid(observation: np.ndarray) -> Frame:
    """A grid ``[H, W]`` or ``[H, W, C]`` as coloured squares, one colour a channel, the last channel on top."""
    channels = observation.reshape(*observation.shape[:2], -1) > 0
    order = np.arange(1, channels.shape[-1] + 1)
    top = np.max(channels * order, axis=-1)
    colors = np.where(top == 0, 0, (top - 1) % (len(PALETTE) - 1) + 1)
    cell = max(1, SIDE // max(top.shape))
    frame = PALETTE[colors].repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 8:
        frame[::cell] = frame[:, ::cell] = PALETTE[0] // 2
    return frame


def draw_classic(name: str, state: EnvState) -> Frame:
    """A state of classic control, as Gymnasium draws it, or as a sketch where pygame is not installed."""
    values = np.array([float(getattr(state, field)) for field in CLASSIC[name]])
    try:
        env = _gymnasium_env(name)
    except ImportError:
        return _sketch(name, values)
    env.state = values
    if hasattr(state, "last_u"):
        env.last_u = float(state.last_u)
    return env.render()


def prepare_pygame() -> None:
    """Let pygame, which draws many of Gymnasium's environments, run without a sound card and without a display."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


@lru_cache
def _gymnasium_env(name: str) -> Any:
    import gymnasium

    prepare_pygame()
    import pygame  # noqa: F401

    env = gymnasium.make(name, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    return env


def _sketch(name: str, state: np.ndarray) -> Frame:
    """Lines and dots drawn by Matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=SIDE / 4)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    rod = lambda start, angle, length=1.0: np.array([start, start + length * np.array([np.sin(angle), np.cos(angle)])])
    match name:
        case "CartPole-v1":
            axes.set(xlim=(-2.4, 2.4), ylim=(-1.5, 3.3))
            cart = np.array([state[0], 0.0])
            axes.axhline(0, color="black", linewidth=1)
            axes.plot(*rod(cart, state[2]).T, color="peru", linewidth=8)
            axes.plot(state[0] + np.array([-0.2, 0.2]), [0, 0], color="black", linewidth=20, solid_capstyle="butt")
        case "Pendulum-v1":
            axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
            axes.plot(*rod(np.zeros(2), -state[0]).T, color="firebrick", linewidth=16, solid_capstyle="round")
        case "Acrobot-v1":
            axes.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
            axes.axhline(1, color="black", linewidth=1)
            upper = rod(np.zeros(2), np.pi - state[0])
            lower = rod(upper[1], np.pi - state[0] - state[1])
            for link in (upper, lower):
                axes.plot(*link.T, color="teal", linewidth=12, solid_capstyle="round")
        case _:
            x = np.linspace(-1.2, 0.6, 100)
            axes.set(xlim=(-1.2, 0.6), ylim=(-1.3, 1.6))
            axes.plot(x, np.sin(3 * x), color="black")
            axes.plot([0.45, 0.45], [np.sin(1.35), np.sin(1.35) + 0.4], color="green", linewidth=4)
            axes.plot(state[0], np.sin(3 * state[0]) + 0.08, "o", color="firebrick", markersize=16)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
