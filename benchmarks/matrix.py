"""What the learning benchmark trains, the bars that the project sets itself, and what others report."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

LAST_INTERVALS = 5
"""Reports at the end of a run over which the training return is averaged."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of several seeds, and the bars that the project sets itself."""

    algorithm: str
    env: str
    total_steps: int
    num_seeds: int
    mean_at_least: float | None = None
    lowest_at_least: float | None = None
    options: tuple[str, ...] = ()
    """More of ``jaxrl train``."""
    training_at_least: float | None = None
    """A bar of the mean training return in the last ``LAST_INTERVALS`` reports."""
    in_threads: bool = False
    """Whether each worker has a thread of the host (``in_threads.py``)."""

    @property
    def name(self) -> str:
        return f"{self.algorithm}/{self.env}"

    @property
    def what(self) -> str:
        """Algorithm and environment, without the prefix of the environment's suite."""
        return f"{self.algorithm}/{self.env.rpartition(':')[2]}"

    @property
    def names(self) -> tuple[str, ...]:
        """What selects it; name and options together select it alone."""
        alone = " ".join([self.name, *self.options])
        return (self.name, self.what, self.algorithm, self.env, self.env.rpartition(":")[2], alone)

    @property
    def folder(self) -> str:
        """A name for its run's folder."""
        threads = ["in-threads"] if self.in_threads else []
        return re.sub(r"[^\w.]+", "-", " ".join([self.name, str(self.total_steps), *self.options, *threads]))

    @property
    def program(self) -> tuple[str, ...]:
        """What is run with ``arguments``, as a user would type it."""
        return ("python", "benchmarks/in_threads.py") if self.in_threads else ("jaxrl", "train")

    def arguments(self) -> list[str]:
        """What a user would type after the program."""
        return [
            self.algorithm, "--env", self.env, "--total-steps", str(self.total_steps),
            "--seed", "0", "--num-seeds", str(self.num_seeds), *self.options,
        ]  # fmt: skip

    def quick(self) -> Row:
        """Hardly any training, to see that it runs; without bars."""
        steps = min(self.total_steps, 4_096)
        seeds = min(self.num_seeds, 2)
        return Row(self.algorithm, self.env, steps, seeds, options=self.options, in_threads=self.in_threads)


@dataclasses.dataclass(frozen=True)
class Published:
    """What others report for an algorithm on an environment."""

    source: str
    value: float
    deviation: float | None
    steps: int | None
    kind: str
    """Of which return it is the mean."""


def labels(rows: Sequence[Row]) -> list[str]:
    """Of the rows' curves in one picture: the algorithm, and the options that not all of them have."""
    options = [tuple(zip(row.options[::2], row.options[1::2], strict=True)) for row in rows]
    common = set.intersection(*map(set, options)) if len(rows) > 1 else set()
    words = lambda pairs: [word for name, value in pairs for word in (re.sub(r"^--(\w+\.)?", "", name), value)]
    threads = lambda row: ["in threads"] if row.in_threads else []
    return [
        " ".join([row.algorithm, *threads(row), *words(pair for pair in pairs if pair not in common)])
        for row, pairs in zip(rows, options, strict=True)
    ]


DOUBLE_DUELING = ("--config.double_q", "true", "--config.dueling", "true")
PRIORITIZED_3_STEP = ("--config.prioritized", "true", "--config.n_step", "3")
SPINNING_UP = ("--preset", "spinningup-mujoco")
AFTER_RANDOM = ("--config.prefill", "10000")
"""No update before the last random action, where Spinning Up begins to update after a tenth of them."""
SMALL = ("--config.hidden_sizes", "64,64", "--config.prefill", "1000")
MEMORY = (
    "--hp.learning_rate", "linear(1e-3, 0.0, fraction=1.0)", "--hp.entropy_coefficient", "0.0",
    "--config.num_envs", "8", "--config.normalize_observation", "true",
)  # fmt: skip
"""Of CartPole without velocities, with memory and without."""
LSTM = ("--config.actor_rnn", "lstm", "--config.critic_rnn", "lstm", "--config.sequence_length", "32")
GRU = ("--config.actor_rnn", "gru", "--config.critic_rnn", "gru", "--config.sequence_length", "32")
DEEP_SEA = ("--env.size", "16")
WITHOUT_CURIOSITY = ("--config.num_envs", "16", "--hp.learning_rate", "1e-3")
"""What of the preset ``rnd/DeepSea-bsuite`` is PPO's."""
STICKY = ("--env.sticky_actions", "0.1")
"""MinAtar as Young & Tian 2019 publish it. Without them a greedy policy plays one or two games of Breakout, again and
again."""
MINATAR = ("Asterix-MinAtar", "Breakout-MinAtar", "Freeway-MinAtar", "SpaceInvaders-MinAtar")

MATRIX = (
    Row("ppo", "CartPole-v1", 500_000, 16, mean_at_least=490.0, lowest_at_least=450.0),
    Row("ppo", "Pendulum-v1", 400_000, 8, mean_at_least=-200.0),
    Row("ppo", "gymnasium:CartPole-v1", 300_000, 3, mean_at_least=475.0),
    Row("dqn", "CartPole-v1", 100_000, 16, mean_at_least=475.0),
    Row("dqn", "CartPole-v1", 50_000, 8, mean_at_least=475.0),
    Row("dqn", "CartPole-v1", 50_000, 8, mean_at_least=475.0, options=DOUBLE_DUELING),
    *(
        Row(algorithm, "CartPole-v1", 50_000, 8, mean_at_least=475.0)
        for algorithm in ("c51", "qr_dqn", "iqn", "rainbow", "munchausen_dqn")
    ),
    Row("ppo", "CartPole-v1", 100_000, 8, mean_at_least=475.0, options=("--preset", "zoo-cartpole")),
    Row("trpo", "CartPole-v1", 100_000, 8, mean_at_least=475.0),
    Row("npg", "CartPole-v1", 200_000, 8, mean_at_least=400.0),
    Row("vpg", "CartPole-v1", 400_000, 8, mean_at_least=250.0),
    Row("a2c", "CartPole-v1", 500_000, 8, mean_at_least=475.0),
    Row("a3c", "CartPole-v1", 500_000, 8, mean_at_least=475.0),
    Row("a3c", "CartPole-v1", 500_000, 8, mean_at_least=475.0, in_threads=True),
    Row("impala", "CartPole-v1", 1_000_000, 8, mean_at_least=475.0),
    Row("appo", "CartPole-v1", 500_000, 8, mean_at_least=475.0),
    Row("rnd", "DeepSea-bsuite", 200_000, 8, mean_at_least=0.9, options=DEEP_SEA),
    Row("ppo", "DeepSea-bsuite", 200_000, 8, options=(*DEEP_SEA, *WITHOUT_CURIOSITY)),
    Row("ppo", "jaxrl.envs.toys:cartpole_positions", 300_000, 5, mean_at_least=400.0, options=(*MEMORY, *LSTM)),
    Row("ppo", "jaxrl.envs.toys:cartpole_positions", 300_000, 5, mean_at_least=400.0, options=(*MEMORY, *GRU)),
    Row("ppo", "jaxrl.envs.toys:cartpole_positions", 300_000, 5, options=MEMORY),
    Row("ppo", "Pendulum-v1", 100_000, 8, mean_at_least=-250.0),
    Row("trpo", "Pendulum-v1", 100_000, 8, mean_at_least=-300.0),
    Row(
        "ppo", "gymnasium:InvertedPendulum-v5", 80_000, 3, training_at_least=500.0, options=("--num-intervals", "20")
    ),  # fmt: skip
    Row("ppo", "gymnasium:Hopper-v5", 1_000_000, 3, mean_at_least=1_500.0),
    Row("trpo", "gymnasium:Hopper-v5", 1_000_000, 3, mean_at_least=1_000.0),
    Row("ppo", "Breakout-MinAtar", 10_000_000, 3, mean_at_least=28.0),
    Row("ppo", "CartPole-v1", 200_000, 8, mean_at_least=400.0, options=("--preset", "spinningup")),
    Row("ppo", "CartPole-v1", 200_000, 8, mean_at_least=400.0, options=("--preset", "rllib")),
    Row("ppo", "Pendulum-v1", 500_000, 8, mean_at_least=-200.0, options=("--preset", "rl_games")),
    Row("ppo", "CartPole-v1", 500_000, 8, mean_at_least=475.0, options=("--preset", "cleanrl-classic-control")),
    Row("pqn", "CartPole-v1", 500_000, 8, mean_at_least=490.0),
    Row("dqn", "MountainCar-v0", 120_000, 5, mean_at_least=-110.0),
    Row("qr_dqn", "MountainCar-v0", 120_000, 5, mean_at_least=-110.0),
    *(
        Row(algorithm, env, 1_000_000, seeds)
        for env, seeds in (("Breakout-MinAtar", 6), ("SpaceInvaders-MinAtar", 3))  # three left Breakout undecided
        for algorithm in ("dqn", "rainbow")
    ),
    *(Row(algorithm, "Breakout-MinAtar", 1_000_000, 6, options=STICKY) for algorithm in ("dqn", "rainbow")),
    *(Row("pqn", env, 5_000_000, 2) for env in MINATAR),
    *(Row(algorithm, "Pendulum-v1", 20_000, 8, mean_at_least=-165.0) for algorithm in ("ddpg", "td3", "sac", "tqc")),
    *(Row(algorithm, "Pendulum-v1", 20_000, 8, options=PRIORITIZED_3_STEP) for algorithm in ("td3", "sac")),
    *(
        Row(algorithm, "Pendulum-v1", steps, 2, mean_at_least=-200.0, options=(*SMALL, *critic))
        for algorithm, steps, critic in (
            ("redq", 5_000, ()), ("droq", 5_000, ()), ("crossq", 20_000, ("--config.critic_sizes", "256,256")),
        )
    ),
    Row("sac_discrete", "CartPole-v1", 100_000, 8, mean_at_least=400.0),
    Row("sac", "brax:inverted_double_pendulum", 60_000, 2, mean_at_least=9_000.0),
    Row("td3", "brax:inverted_double_pendulum", 60_000, 2, mean_at_least=9_000.0),
    Row("sac", "gymnasium:HalfCheetah-v5", 300_000, 3, mean_at_least=6_500.0, options=SPINNING_UP),
    Row("sac", "gymnasium:Hopper-v5", 300_000, 3, mean_at_least=2_300.0, options=(*SPINNING_UP, *AFTER_RANDOM)),
    Row("td3", "gymnasium:HalfCheetah-v5", 300_000, 3, mean_at_least=5_500.0, options=SPINNING_UP),
    Row("td3", "gymnasium:Hopper-v5", 300_000, 3, options=SPINNING_UP),
)

TRAINING = "training return (± over 3 seeds)"
DETERMINISTIC = "deterministic evaluation of the final model (± over episodes)"
CHECKPOINT = "evaluation of a trained checkpoint"
SMOOTHED = "deterministic tests, averaged over 11 epochs and 10 seeds"
SMOOTHED_TRAINING = "training return, averaged over 11 epochs and 10 seeds"
PUBLISHED = {
    "ppo/CartPole-v1": (
        Published("CleanRL, ppo.py", 490.04, 6.12, 500_000, TRAINING),
        Published("RL Baselines3 Zoo, PPO", 500.0, 0.0, 100_000, DETERMINISTIC),
        Published("gymnax-blines, PPO", 500.0, None, None, CHECKPOINT),
    ),
    "dqn/CartPole-v1": (
        Published("CleanRL, dqn_jax.py", 498.38, 2.29, 500_000, TRAINING),
        Published("CleanRL, dqn.py", 488.69, 16.11, 500_000, TRAINING),
        Published("RL Baselines3 Zoo, DQN", 500.0, 0.0, 50_000, DETERMINISTIC),
    ),
    "qr_dqn/CartPole-v1": (Published("RL Baselines3 Zoo, QR-DQN", 500.0, 0.0, 50_000, DETERMINISTIC),),
    "c51/CartPole-v1": (
        Published("CleanRL, c51.py", 481.20, 20.53, 500_000, TRAINING),
        Published("CleanRL, c51_jax.py", 491.07, None, 500_000, TRAINING),
    ),
    "pqn/CartPole-v1": (Published("CleanRL, pqn.py", 495.13, 6.89, 500_000, TRAINING),),
    "dqn/MountainCar-v0": (Published("RL Baselines3 Zoo, DQN", -100.8, 9.93, 120_000, DETERMINISTIC),),
    "qr_dqn/MountainCar-v0": (Published("RL Baselines3 Zoo, QR-DQN", -106.0, 15.5, 120_000, DETERMINISTIC),),
    "ppo/Pendulum-v1": (
        Published("RL Baselines3 Zoo, PPO", -172.2, 104.2, 100_000, DETERMINISTIC),
        Published("gymnax-blines, PPO", -130.0, None, None, CHECKPOINT),
    ),
    "trpo/CartPole-v1": (Published("RL Baselines3 Zoo, TRPO", 500.0, 0.0, 100_000, DETERMINISTIC),),
    "a2c/CartPole-v1": (Published("RL Baselines3 Zoo, A2C", 500.0, 0.0, 500_000, DETERMINISTIC),),
    "trpo/Pendulum-v1": (Published("RL Baselines3 Zoo, TRPO", -175.0, None, 100_000, DETERMINISTIC),),
    "ppo/Hopper-v5": (
        Published("Spinning Up, PPO on Hopper-v3", 1_785.0, None, 1_000_000, SMOOTHED_TRAINING),
        Published("RL Baselines3 Zoo, PPO on Hopper-v3", 2_410.0, 10.0, 1_000_000, DETERMINISTIC),
    ),
    "trpo/Hopper-v5": (
        Published("Spinning Up, TRPO on Hopper-v3", 1_150.0, None, 1_000_000, SMOOTHED_TRAINING),
        Published("RL Baselines3 Zoo, TRPO on Hopper-v3", 3_618.0, 356.8, 1_000_000, DETERMINISTIC),
    ),
    "ppo/Breakout-MinAtar": (Published("gymnax-blines, PPO", 28.0, None, None, CHECKPOINT),),
    "ddpg/Pendulum-v1": (Published("RL Baselines3 Zoo, DDPG", -152.1, 94.3, 20_000, DETERMINISTIC),),
    "td3/Pendulum-v1": (Published("RL Baselines3 Zoo, TD3", -151.9, 90.2, 20_000, DETERMINISTIC),),
    "sac/Pendulum-v1": (Published("RL Baselines3 Zoo, SAC", -157.0, 88.7, 20_000, DETERMINISTIC),),
    "tqc/Pendulum-v1": (Published("RL Baselines3 Zoo, TQC", -151.3, 87.9, 20_000, DETERMINISTIC),),
    "sac/HalfCheetah-v5": (Published("Spinning Up, SAC on HalfCheetah-v3", 9_165.0, None, 300_000, SMOOTHED),),
    "sac/Hopper-v5": (Published("Spinning Up, SAC on Hopper-v3", 2_843.0, None, 300_000, SMOOTHED),),
    "td3/HalfCheetah-v5": (Published("Spinning Up, TD3 on HalfCheetah-v3", 7_642.0, None, 300_000, SMOOTHED),),
    "td3/Hopper-v5": (Published("Spinning Up, TD3 on Hopper-v3", 2_373.0, None, 300_000, SMOOTHED),),
    "pqn/Asterix-MinAtar": (Published("gymnax-blines, PPO", 15.0, None, None, CHECKPOINT),),
    "pqn/Breakout-MinAtar": (Published("gymnax-blines, PPO", 28.0, None, None, CHECKPOINT),),
    "pqn/Freeway-MinAtar": (Published("gymnax-blines, PPO", 58.0, None, None, CHECKPOINT),),
    "pqn/SpaceInvaders-MinAtar": (Published("gymnax-blines, PPO", 131.0, None, None, CHECKPOINT),),
}
"""By ``Row.what``."""
