"""Environments: one small protocol, ``make``, wrappers, and an adapter for each suite."""

from jaxrl.envs import probes, toys
from jaxrl.envs.actions import unit_actions
from jaxrl.envs.brax_adapter import from_brax
from jaxrl.envs.check import Report, check
from jaxrl.envs.dlpack_adapter import from_tensors
from jaxrl.envs.environment import Environment, reset_rows, step_rows, transition_step
from jaxrl.envs.frame_wrappers import frame_skip, frame_stack, no_op_start, sticky_actions
from jaxrl.envs.gymnasium_adapter import from_gymnasium, from_vector
from jaxrl.envs.gymnax_adapter import from_gymnax
from jaxrl.envs.host import HostEnvironment, HostStep, VectorEnv
from jaxrl.envs.image_axes import channels_last
from jaxrl.envs.registry import make, names, register
from jaxrl.envs.rendering import render
from jaxrl.envs.wrappers import (
    auto_reset,
    episode_statistics,
    flatten_observation,
    for_training,
    raw_actions,
    rescale_action,
    select_observation,
    time_limit,
    transform_reward,
)

__all__ = [
    "Environment", "HostEnvironment", "HostStep", "Report", "VectorEnv", "auto_reset", "channels_last", "check",
    "episode_statistics", "flatten_observation", "for_training", "frame_skip", "frame_stack", "from_brax",
    "from_gymnasium", "from_gymnax", "from_tensors", "from_vector", "make", "names", "no_op_start", "probes",
    "raw_actions", "register", "render", "rescale_action", "reset_rows", "select_observation", "step_rows",
    "sticky_actions", "time_limit", "toys", "transform_reward", "transition_step", "unit_actions",
]  # fmt: skip
