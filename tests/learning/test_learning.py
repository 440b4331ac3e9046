"""Whether the algorithms learn, with the presets that a plain command line takes; margins too wide to flake."""

import numpy as np
import pytest

import jaxrl

pytestmark = pytest.mark.learning

# The benchmark's own bars are for more seeds or more steps; see benchmarks/learning.py.
CASES = [
    ("ppo", "CartPole-v1", 500_000, 4, 475.0),
    ("dqn", "CartPole-v1", 50_000, 4, 440.0),
    ("ppo", "Pendulum-v1", 400_000, 4, -250.0),
    ("ppo", "gymnasium:CartPole-v1", 200_000, 2, 400.0),
    ("td3", "Pendulum-v1", 20_000, 2, -250.0),
    ("sac", "Pendulum-v1", 20_000, 2, -250.0),
]


@pytest.mark.parametrize(("algorithm", "env", "total_steps", "num_seeds", "at_least"), CASES)
def test_it_learns(algorithm, env, total_steps, num_seeds, at_least, tmp_path):
    result = jaxrl.train(
        algorithm, env=env, total_steps=total_steps, num_seeds=num_seeds, out=tmp_path / "run",
        num_evaluations=1, num_checkpoints=1, progress=False,
    )  # fmt: skip
    assert np.mean(result.final_return) >= at_least, result.final_return
