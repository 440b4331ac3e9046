import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.training.metrics import EpisodeSums, summarize
from jaxrl.types import TimeStep


def test_only_episodes_that_ended_count_whichever_way():
    # Running returns of episodes that go on are far below and above those of the three that ended.
    terminated, truncated = np.array([True, False, False, False]), np.array([False, True, False, False])
    step = lambda returns, lengths, *ends: TimeStep(
        (), (), (), *ends, {"episode_return": np.array(returns), "episode_length": np.array(lengths)}
    )
    sums = jax.jit(lambda s, *steps: s.add(steps[0]).add(steps[1]))(
        EpisodeSums.zero(),
        step([1.0, 2.0, -99.0, 99.0], [3, 5, 70, 70], terminated, truncated),
        step([-99.0, 99.0, 6.0, 0.0], [70, 70, 10, 70], np.zeros(4, bool), np.array([False, False, True, False])),
    )
    assert tuple(float(x) for x in sums) == (3, 9, 1, 6, 18)
    report = summarize(sums, {"loss": jnp.float32(20)}, jnp.int32(4), jnp.float32(32), {"w": jnp.ones(2)})
    assert (report.episodes, report.episode_return, report.episode_length) == (3, 3, 6)
    assert (report.episode_return_min, report.episode_return_max) == (1, 6)
    assert (report.losses["loss"], report.steps, report.finite) == (5, 32, True)


def test_one_number_that_is_not_finite_is_told():
    report = lambda params: summarize(EpisodeSums.zero(), {}, 1, 0.0, params).finite
    assert report({"w": jnp.ones(3), "n": jnp.int32(3)}) and report({})
    assert not report({"w": jnp.array([1.0, jnp.nan]), "b": jnp.ones(3)})
    assert not report({"w": jnp.ones(3), "b": jnp.array([jnp.inf, 1.0])})
