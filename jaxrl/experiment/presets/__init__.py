"""Presets: settings for an algorithm, each with its source.

Those tuned here are called ``ALGORITHM/ENV`` and taken by themselves for that algorithm on that environment. Those that
hold the values of another project are called ``ALGORITHM/PROJECT-WHAT`` and taken when asked for.
"""

from __future__ import annotations

from jaxrl.experiment.presets import (
    actor_critic,
    brax,
    cleanrl,
    dialects,
    dopamine,
    lightning,
    pixels,
    policy_gradient,
    purejaxql,
    q_learning,
    rl_games,
    rlcycle,
    spinningup,
    zoo,
)
from jaxrl.experiment.presets.preset import Preset
from jaxrl.validation import did_you_mean

__all__ = ["NONE", "PRESETS", "Preset", "get", "tuned_for"]

_MODULES = (
    q_learning, policy_gradient, actor_critic, pixels, rlcycle, lightning, cleanrl, zoo, dopamine, purejaxql, rl_games,
    spinningup, brax, dialects,
)  # fmt: skip

PRESETS: dict[str, Preset] = {preset.name: preset for module in _MODULES for preset in module.PRESETS}

_MUJOCO = {
    f"{body}-v5"
    for body in (
        "Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum", "InvertedPendulum",
        "Pusher", "Reacher", "Swimmer", "Walker2d",
    )
}  # fmt: skip

NONE = "none"
"""The name that asks for the algorithm's own defaults."""


def get(name: str, algorithm: str) -> Preset:
    """A preset by its name, which may leave out the algorithm (``CartPole-v1``, ``cleanrl-atari``).

    Raises:
        UserError: for an unknown name (it names the nearest), or one of another algorithm.
    """
    from jaxrl.experiment.values import unknown_name  # imports JAX

    preset = PRESETS.get(name) or PRESETS.get(f"{algorithm}/{name}")
    if preset is None:
        full = name if "/" in name else f"{algorithm}/{name}"
        raise unknown_name("preset", name, [*PRESETS, NONE], did_you_mean(full, PRESETS) or did_you_mean(name, [NONE]))
    if preset.algorithm != algorithm:
        names = [p.name for p in PRESETS.values() if p.algorithm == algorithm]
        raise unknown_name("preset", name, [*names, NONE], f" for {algorithm}")
    return preset


def tuned_for(algorithm: str, env: str) -> Preset | None:
    """The preset of this algorithm on this environment, whose id may have the prefix of a suite, or None.

    One for all of MinAtar (``dqn/MinAtar``), or for all of Gymnasium's MuJoCo (``sac/MuJoCo``), serves where none is
    for the environment itself.
    """
    name = env.rpartition(":")[2]
    suite = "MinAtar" if name.endswith("-MinAtar") else "MuJoCo" if name in _MUJOCO else name
    return PRESETS.get(f"{algorithm}/{name}") or PRESETS.get(f"{algorithm}/{suite}")
