import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.buffers import prioritized_replay, uniform_replay
from jaxrl.types import Transition

STEPS = 12
"""Length of each environment's ring."""
CHUNK = 23
"""Steps between two checks: prime to all lengths of rings."""


class Hyperparameters(NamedTuple):
    discount: float = 0.9
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4


class Stream(NamedTuple):
    """What environments showed: each item has a number, its action."""

    transitions: Transition
    """``[T, B, ...]``."""
    valid: np.ndarray
    """``[T, B]``; where false the transition is noise, and the episode goes on as if it were not there."""

    def history(self, env, end):
        """The last valid transitions of an environment before time ``end``: more than any ring here holds."""
        times = np.flatnonzero(self.valid[:end, env])[-20:]
        return jax.tree.map(lambda x: x[times, env], self.transitions)


def _stream(rng, length, num_envs, shape, stack, lengths, masked=False, dtype=np.uint8):
    """Random frames ``shape``, ``stack`` of them an observation; an episode begins with any stack."""
    draw = lambda *s: rng.integers(0, 256, s).astype(dtype)
    join = lambda frames: np.concatenate(frames[-stack:], axis=-1)
    wide = (*shape[:-1], shape[-1] * stack)
    valid = rng.random((length, num_envs)) < 0.7 if masked else np.ones((length, num_envs), bool)
    observation, next_observation = draw(length, num_envs, *wide), draw(length, num_envs, *wide)
    ends = rng.random((2, length, num_envs)) < 0.5
    for env in range(num_envs):
        left = 0
        for t in np.flatnonzero(valid[:, env]):
            if left == 0:
                frames, left = [draw(*shape) for _ in range(stack)], lengths(rng)
            frames, left = [*frames, draw(*shape)], left - 1
            observation[t, env], next_observation[t, env] = join(frames[:-1]), join(frames)
            kind = rng.integers(3)
            ends[:, t, env] = (left == 0) & np.array([kind != 1, kind != 0])
    numbers = 1 + np.arange(length * num_envs, dtype=np.int32).reshape(length, num_envs)
    reward = rng.normal(size=valid.shape).astype(np.float32)
    return Stream(Transition(observation, numbers, reward, ends[0], ends[1], next_observation), valid)


def _buffer(replay, stream, stack, n=1, steps=STEPS):
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), stream.transitions)
    num_envs = stream.valid.shape[1]
    return replay(example, steps * num_envs, num_envs, n_step=n, frame_stack=stack)


def _add_all(buffer, masked):
    """``add_all(state, transitions [T, B, ...], valid [T, B]) -> state``."""
    one = lambda state, x: (buffer.add(state, *x) if masked else buffer.add(state, x[0]), None)
    return jax.jit(lambda state, *stream: jax.lax.scan(one, state, stream)[0])


def _expected(history, n, discount):
    """Brute force: the n-step transitions from a history, with their steps."""
    ended = history.terminated | history.truncated
    last, reward, steps = [], [], []
    for i in range(len(ended)):
        total, k = 0.0, 0
        for j in range(i, min(i + n, len(ended))):
            total += discount**k * history.reward[j]
            k += 1
            if ended[j]:
                break
        last.append(j)
        reward.append(total)
        steps.append(k)
    return Transition(
        history.observation, history.action, np.array(reward), history.terminated[last], history.truncated[last],
        history.next_observation[last],
    ), np.array(steps)  # fmt: skip


def _assert_sample(sample, stream, end, n):
    """What is drawn are the newest of each environment, bit for bit; returns how many of each."""
    sample = jax.device_get(sample)
    drawn, held = sample.transitions, []
    numbers = np.array(drawn.action)
    for env in range(stream.valid.shape[1]):
        expected, steps = _expected(stream.history(env, end), n, 0.9)
        mine = np.flatnonzero(np.isin(numbers, expected.action))
        held.append(len(set(numbers[mine])))
        assert set(numbers[mine]) == set(expected.action[len(expected.action) - held[-1] :])
        where = np.searchsorted(expected.action, numbers[mine])
        np.testing.assert_allclose(drawn.reward[mine], expected.reward[where], rtol=1e-5, atol=1e-6)
        for name in ("observation", "terminated", "truncated", "next_observation"):
            got, want = getattr(drawn, name), getattr(expected, name)
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got[mine], want[where])
        np.testing.assert_array_equal(sample.steps[mine], steps[where])
        numbers[mine] = 0
    assert not numbers.any()
    return held


def _mixed(rng):
    return rng.integers(1, 10)


def _one(rng):
    return 1


@pytest.mark.parametrize(
    ("replay", "shape", "stack", "num_envs", "masked", "n", "lengths", "dtype"),
    [
        (uniform_replay, (6, 5, 1), 4, 3, True, 1, _mixed, np.uint8),
        (prioritized_replay, (6, 5, 1), 4, 1, False, 3, _mixed, np.uint8),
        (prioritized_replay, (6, 5, 2), 4, 3, True, 3, _mixed, np.uint8),
        (uniform_replay, (6, 5, 3), 1, 2, False, 3, _mixed, np.uint8),
        (uniform_replay, (3,), 3, 1, True, 3, _mixed, np.float32),
        (prioritized_replay, (6, 5, 1), 4, 2, False, 1, _one, np.uint8),
        (uniform_replay, (6, 5, 1), 2, 1, False, 3, _one, np.uint8),
    ],
)
def test_every_transition_comes_back_bit_for_bit(rng, key, replay, shape, stack, num_envs, masked, n, lengths, dtype):
    """However often ring and numbers have wrapped, and however few are held because episodes are short."""
    stream = _stream(rng, 12 * CHUNK, num_envs, shape, stack, lengths, masked, dtype)
    buffer = _buffer(replay, stream, stack, n)
    add, sample = _add_all(buffer, masked), jax.jit(buffer.sample, static_argnums=2)
    set_, hp = jax.jit(buffer.set_priorities), Hyperparameters()
    state, before = buffer.init(), None
    for end in range(CHUNK, 12 * CHUNK + 1, CHUNK):
        chunk = jax.tree.map(lambda x, end=end: x[end - CHUNK : end], stream)
        state = add(state, *chunk)
        if before is not None:
            # Many of these places hold others by now, and some nothing.
            state = set_(state, before, 0.5 + rng.random(512).astype(np.float32), hp)
        drawn = sample(state, jax.random.fold_in(key, end), 512, hp)
        held = _assert_sample(drawn, stream, end, n)
        assert sum(held) == buffer.size(state)
        # An episode of one step needs its first stack and one frame more.
        fewest = min(STEPS // (stack + 1), int(stream.valid[:end].sum(axis=0).min()))
        assert all(fewest <= h <= STEPS for h in held)
        if lengths is _one:
            assert max(held) < STEPS
        before = drawn.indices


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
def test_nothing_is_given_up_while_episodes_are_long(rng, replay):
    stream = _stream(rng, 6 * STEPS, 2, (2, 2, 1), 4, lambda rng: STEPS + rng.integers(3))
    buffer = _buffer(replay, stream, 4)
    sizes = lambda state, x: (lambda s: (s, buffer.size(s)))(buffer.add(state, x))
    _, sizes = jax.jit(lambda xs: jax.lax.scan(sizes, buffer.init(), xs))(stream.transitions)
    np.testing.assert_array_equal(sizes, 2 * np.minimum(1 + np.arange(6 * STEPS), STEPS))


def test_a_transition_that_was_given_up_is_never_drawn_whatever_its_priority(rng, key):
    # Episodes of one step: 15 frames and 10 to spare hold 5 transitions, each of 5.
    stream, hp, steps = _stream(rng, 40, 1, (6, 5, 1), 4, _one), Hyperparameters(), 15
    buffer = _buffer(prioritized_replay, stream, 4, steps=steps)
    add, set_, sample = jax.jit(buffer.add), jax.jit(buffer.set_priorities), jax.jit(buffer.sample, static_argnums=2)
    state = buffer.init()
    for t in range(40):
        state = add(state, jax.tree.map(lambda x, t=t: x[t], stream.transitions))
        state = set_(state, jnp.arange(-1, steps), jnp.linspace(0, 1e3, steps + 1), hp)
        assert _assert_sample(sample(state, key, 128, hp), stream, t + 1, 1) == [min(t + 1, 5)]
        assert np.count_nonzero(state.tree.levels[-1]) == buffer.size(state) == min(t + 1, 5)


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
def test_stacks_do_not_reach_across_an_interruption(rng, key, replay):
    """Episodes that were broken off, as when simulators start anew, count as truncated."""
    first, second = (_stream(rng, n, 3, (6, 5, 1), 4, _mixed, masked=True) for n in (CHUNK, 4))
    second = second._replace(transitions=second.transitions._replace(action=second.transitions.action + 1000))
    buffer, hp = _buffer(replay, first, 4, n=3), Hyperparameters()
    add = _add_all(buffer, True)
    state = add(jax.jit(buffer.interrupt)(add(buffer.init(), *first)), *second)
    both = jax.tree.map(lambda *x: np.concatenate(x), first, second)
    for env in range(3):
        both.transitions.truncated[np.flatnonzero(first.valid[:, env])[-1], env] = True
    drawn = jax.jit(buffer.sample, static_argnums=2)(state, key, 512, hp)
    assert sum(_assert_sample(drawn, both, CHUNK + 4, 3)) == buffer.size(state)


def test_a_vmapped_buffer_is_the_single_one(rng, key):
    streams = [_stream(rng, 60, 2, (6, 5, 1), 4, _mixed, masked=True) for _ in range(3)]
    buffer, hp = _buffer(prioritized_replay, streams[0], 4, n=3), Hyperparameters()
    add = _add_all(buffer, True)

    def run(stream, key):
        state = add(buffer.init(), *stream)
        return state, buffer.sample(state, key, 16, hp)

    keys = jax.random.split(key, 3)
    lanes = jax.jit(jax.vmap(run))(jax.tree.map(lambda *x: np.stack(x), *streams), keys)
    run = jax.jit(run)
    for i in range(3):
        lane = jax.tree.map(lambda x, i=i: x[i], lanes)
        jax.tree.map(np.testing.assert_array_equal, run(streams[i], keys[i]), lane)


def test_an_observation_that_is_a_tree_of_one_array_stays_one(rng, key):
    stream = _stream(rng, 5, 1, (2, 2, 1), 3, _mixed)
    t = stream.transitions
    trees = t._replace(observation={"image": t.observation}, next_observation={"image": t.next_observation})
    buffer = _buffer(uniform_replay, stream._replace(transitions=trees), 3)
    drawn = buffer.sample(_add_all(buffer, False)(buffer.init(), trees), key, 8).transitions
    where = np.asarray(drawn.action) - 1
    np.testing.assert_array_equal(drawn.observation["image"], t.observation[where, 0])
    np.testing.assert_array_equal(drawn.next_observation["image"], t.next_observation[where, 0])


# --- Memory and errors


def _example(shape, dtype=np.uint8):
    observation, flag = jax.ShapeDtypeStruct(shape, dtype), jax.ShapeDtypeStruct((), bool)
    scalar, action = jax.ShapeDtypeStruct((), np.float32), jax.ShapeDtypeStruct((), np.int32)
    return Transition(observation, action, scalar, flag, flag, observation)


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize("num_envs", [1, 8])
def test_a_million_atari_transitions_take_7_gigabytes(replay, num_envs):
    buffer = replay(_example((84, 84, 4)), 1_000_000, num_envs, n_step=3, frame_stack=4)
    # Each frame is 84 x 84 = 7,056 bytes; as stacks and their successors they were 56 GB.
    assert 7.056e9 < buffer.nbytes <= 7.2e9
    assert buffer.capacity == 1_000_000
    state = jax.eval_shape(buffer.init)
    assert buffer.nbytes == sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


@pytest.mark.parametrize("replay", [uniform_replay, prioritized_replay])
@pytest.mark.parametrize(
    ("shape", "stack", "message"),
    [
        ((6, 5, 4), 3, "frame_stack=3: must divide the last axis of an observation that is one array, got (6, 5, 4)"),
        ((6, 5, 4), 8, "frame_stack=8: must divide the last axis"),
        ((), 1, "frame_stack=1: must divide the last axis"),
        ((6, 5, 4), -1, "frame_stack=-1: must not be negative"),
    ],
)
def test_a_stack_that_the_observation_is_not_is_refused(replay, shape, stack, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        replay(_example(shape), 8, frame_stack=stack)


def test_a_stack_of_several_arrays_is_refused():
    image = jax.ShapeDtypeStruct((6, 5, 4), np.uint8)
    example = _example(())._replace(observation={"a": image, "b": image}, next_observation={"a": image, "b": image})
    with pytest.raises(ValueError, match="frame_stack=4: .* one array, got None"):
        uniform_replay(example, 8, frame_stack=4)
