import re
from collections import deque
from itertools import islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.buffers import prioritized_replay, uniform_replay
from jaxrl.types import Transition

STEPS = 7
"""Length of each environment's ring."""
IMAGE = (20, 20, 3)
"""Large enough to be kept apart from the packed row."""


class Hyperparameters(NamedTuple):
    discount: float = 0.9
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4


def _observation(number):
    """Observations ``[B]`` that tell their numbers ``[B]``: the successor of number i is i + 0.5."""
    number = np.asarray(number, np.float32)
    return {"image": np.broadcast_to((2 * number % 256).astype(np.uint8)[:, None, None, None], (len(number), *IMAGE)),
            "number": number}  # fmt: skip


def _transition(number, reward, terminated, truncated):
    number = np.asarray(number, np.int32)
    return Transition(
        _observation(number), number, np.asarray(reward, np.float32), np.asarray(terminated, bool),
        np.asarray(truncated, bool), _observation(number + 0.5),
    )  # fmt: skip


EXAMPLE = jax.tree.map(lambda x: x[0], _transition([0], [0], [False], [False]))


def _random_steps(rng, num_envs, t):
    end = rng.choice(3, num_envs, p=[0.65, 0.2, 0.15])
    return _transition(1 + t * num_envs + np.arange(num_envs), rng.normal(size=num_envs), end == 1, end == 2)


def _expected(ring, n, discount):
    """Brute force: for each item of an environment's ring (reward, terminated, truncated, last item, steps)."""
    table = {}
    for i, (number, *_) in enumerate(ring):
        total, k = 0.0, 0
        for item in islice(ring, i, i + n):
            last, reward, terminated, truncated = item
            total += discount**k * reward
            k += 1
            if terminated or truncated:
                break
        table[number] = (total, terminated, truncated, last, k)
    return table


def _assert_sample(sample, table):
    """Everything held is drawn, each as brute force has it."""
    t = sample.transitions
    numbers = np.asarray(t.action)
    assert set(numbers.tolist()) == set(table)
    reward, terminated, truncated, last, steps = (np.array(x) for x in zip(*(table[i] for i in numbers), strict=True))
    np.testing.assert_allclose(t.reward, reward, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(t.terminated, terminated)
    np.testing.assert_array_equal(t.truncated, truncated)
    np.testing.assert_array_equal(sample.steps, steps)
    jax.tree.map(np.testing.assert_array_equal, t.observation, _observation(numbers))
    jax.tree.map(np.testing.assert_array_equal, t.next_observation, _observation(last + 0.5))


def _fill(buffer, steps):
    add, state = jax.jit(buffer.add), buffer.init()
    for step in steps:
        state = add(state, step)
    return state


def _sample(buffer, state, key, n, hp=Hyperparameters()):
    return jax.jit(buffer.sample, static_argnums=2)(state, key, n, hp)


@pytest.mark.parametrize(
    ("replay", "num_envs", "masked", "n"),
    [
        (uniform_replay, 1, False, 3),
        (uniform_replay, 3, True, 5),
        (prioritized_replay, 3, False, 3),
        (prioritized_replay, 3, True, STEPS),
        (prioritized_replay, 1, True, 1),
    ],
)
def test_n_steps_by_brute_force(rng, key, replay, num_envs, masked, n):
    """Rings before and after they wrap, with ends of both kinds anywhere; the newest have fewer successors."""
    buffer, hp = replay(EXAMPLE, STEPS * num_envs, num_envs, n_step=n), Hyperparameters()
    add, sample, set_ = jax.jit(buffer.add), jax.jit(buffer.sample, static_argnums=2), jax.jit(buffer.set_priorities)
    rings = [deque(maxlen=STEPS) for _ in range(num_envs)]
    state = buffer.init()
    for t in range(30):
        step = _random_steps(rng, num_envs, t)
        valid = rng.random(num_envs) < 0.7 if masked else np.ones(num_envs, bool)
        state = add(state, step, *((valid,) if masked else ()))
        for env in np.flatnonzero(valid):
            rings[env].append(tuple(np.asarray(x)[env].item() for x in step[1:5]))
        if t in (2, 6, 7, 8, 13, 20, 29):
            drawn = sample(state, jax.random.fold_in(key, t), 512, hp)
            table = {}
            for ring in rings:
                table |= _expected(ring, n, 0.9)
            _assert_sample(drawn, table)
            state = set_(state, drawn.indices, 0.5 + rng.random(512).astype(np.float32), hp)


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_three_steps_by_hand(key, replay, end):
    # Rewards 1, 2, 4, 8, 16, 32; an episode ends with the third step.
    buffer = replay(EXAMPLE, 8, n_step=3)
    rewards = [2.0**i for i in range(6)]
    steps = [
        _transition([i], [r], [i == 2 and end == "terminated"], [i == 2 and end == "truncated"])
        for i, r in enumerate(rewards)
    ]
    sample = _sample(buffer, _fill(buffer, steps), key, 128, Hyperparameters(discount=0.5))
    over = (end == "terminated", end == "truncated")
    _assert_sample(
        sample,
        {
            0: (1 + 1 + 1, *over, 2, 3),
            1: (2 + 2, *over, 2, 2),
            2: (4, *over, 2, 1),
            3: (8 + 8 + 8, False, False, 5, 3),
            4: (16 + 16, False, False, 5, 2),
            5: (32, False, False, 5, 1),
        },
    )


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
def test_steps_are_not_added_up_across_an_interruption(key, replay):
    # Two environments in rings of 5, of which the second has shown nothing when both are interrupted.
    buffer = replay(EXAMPLE, 10, 2, n_step=3)
    add, state = jax.jit(buffer.add), buffer.init()
    for i in range(7):
        if i == 4:
            state = jax.jit(buffer.interrupt)(state)
        valid = np.array([True, i >= 4])
        state = add(state, _transition([i, 10 + i], [2.0**i, 1.0], [False] * 2, [False] * 2), valid)
    _assert_sample(
        _sample(buffer, state, key, 128, Hyperparameters(discount=0.5)),
        {
            2: (4 + 4, False, True, 3, 2),
            3: (8, False, True, 3, 1),
            4: (16 + 16 + 16, False, False, 6, 3),
            5: (32 + 32, False, False, 6, 2),
            6: (64, False, False, 6, 1),
            14: (1.75, False, False, 16, 3),
            15: (1.5, False, False, 16, 2),
            16: (1, False, False, 16, 1),
        },
    )


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
def test_one_step_is_the_plain_transition_and_so_is_a_step_that_ends(rng, key, replay):
    steps = [_random_steps(rng, 2, t)._replace(terminated=np.ones(2, bool)) for t in range(5)]
    hp, samples = Hyperparameters(), []
    for n in (1, 3):
        buffer = replay(EXAMPLE, 8, 2, n_step=n)
        samples.append(_sample(buffer, _fill(buffer, steps), key, 32, hp))
    plain = replay(EXAMPLE, 8, 2)
    samples.append(_sample(plain, _fill(plain, steps), key, 32, hp))
    jax.tree.map(np.testing.assert_array_equal, samples[0], samples[1])
    jax.tree.map(np.testing.assert_array_equal, samples[0], samples[2])
    assert samples[0].steps.dtype == samples[1].steps.dtype == np.int32


def test_the_discount_is_a_leaf(key):
    buffer = uniform_replay(EXAMPLE, 4, n_step=3)
    state = _fill(buffer, [_transition([i], [1.0 + i], [False], [False]) for i in range(4)])
    sample = lambda discount: buffer.sample(state, key, 64, Hyperparameters(discount))
    lanes = jax.jit(jax.vmap(sample))(jnp.array([0.0, 0.5, 1.0]))
    by_hand = [[1, 2, 3, 4], [1 + 1 + 0.75, 2 + 1.5 + 1, 3 + 2, 4], [6, 9, 7, 4]]
    for i, expected in enumerate(by_hand):
        lane = jax.tree.map(lambda x, i=i: x[i], lanes)
        np.testing.assert_allclose(lane.transitions.reward, np.array(expected)[lane.transitions.action])
        np.testing.assert_array_equal(lane.steps, np.array([3, 3, 2, 1])[lane.transitions.action])


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize(("n", "num_envs"), [(0, 1), (-1, 1), (9, 1), (3, 4)])
def test_a_number_of_steps_that_a_ring_cannot_hold_is_refused(replay, n, num_envs):
    with pytest.raises(ValueError, match=re.escape(f"n_step={n}: must be positive and at most the {8 // num_envs}")):
        replay(EXAMPLE, 8, num_envs, n_step=n)


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
def test_a_range_of_steps_is_drawn_evenly_for_each_transition(key, replay):
    """Rewards 1, 2, 4, ... without an end: how many were added up shows in the sum."""
    buffer = replay(EXAMPLE, 64, n_step=4, min_n_step=2)
    state = _fill(buffer, [_transition([i], [1.0], [False], [False]) for i in range(64)])
    sample = _sample(buffer, state, key, 4096, Hyperparameters(discount=0.5))
    first, steps = np.asarray(sample.transitions.action), np.asarray(sample.steps)
    inner = first < 61
    for n in (2, 3, 4):
        share = np.mean(steps[inner] == n)
        # Four deviations of a share of a third.
        assert abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / inner.sum())
        np.testing.assert_allclose(np.asarray(sample.transitions.reward)[inner & (steps == n)], 2 - 2.0 ** (1 - n))
    np.testing.assert_array_equal(sample.transitions.next_observation["number"], first + steps - 0.5)
    assert (steps[first == 63] == 1).all() and (steps[first == 62] == 2).all()
    # It is drawn apart from the place.
    assert len(set(steps[first == first[inner][0]].tolist())) == 3


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize("fewest", [0, 4])
def test_a_range_of_steps_that_is_none_is_refused(replay, fewest):
    with pytest.raises(ValueError, match=f"min_n_step={fewest}: must be positive and at most n_step=3"):
        replay(EXAMPLE, 8, n_step=3, min_n_step=fewest)
