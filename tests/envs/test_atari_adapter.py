import dataclasses
import functools

import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from jaxrl import envs
from jaxrl.envs import atari_adapter
from jaxrl.envs.atari_adapter import Options, _first_stack, _next_stack

pytest.importorskip("ale_py")


def actions(env, steps, num_envs=2, seed=0):
    return np.random.default_rng(seed).integers(env.action_space.n, size=(steps, num_envs))


def walk(vector, action, seed=3):
    """The first observation, and the steps of the actions ``[T, B]``."""
    first = vector.reset(seed)
    steps = [vector.step(a) for a in action]
    vector.close()
    return first, [step.timestep for step in steps]


@functools.cache
def breakout():
    """Random play with lives: ``(first observation, time steps)`` as the learner sees it, and as an evaluation does."""
    env = envs.make("atari:Breakout")
    played = actions(env, 400)
    return walk(env.make_vector(2), played), walk(env.make_eval_vector(2), played)


def test_an_environment_by_its_name():
    env = envs.make("atari:SpaceInvaders")
    assert env.name == "SpaceInvaders"
    assert env.observation_space == spaces.Box(0, 255, (84, 84, 4), np.uint8)
    assert env.action_space == spaces.Discrete(6)
    assert env.max_episode_steps == 27_000
    assert {"Pong", "MsPacman", "Breakout"} <= set(envs.names()["atari"])
    assert not {"Combat", "pong"} & set(envs.names()["atari"])


@pytest.mark.parametrize("stack", [3, 4])
def test_steps_are_those_of_the_simulator(stack):
    """Frames, ends, rewards and resets are those of ALE with its own stack, on the first axis."""
    from ale_py.vector_env import AtariVectorEnv

    env = envs.make("atari:Breakout", episodic_life=False, max_episode_frames=800, frame_stack=stack)
    played = actions(env, 260)
    first, steps = walk(env.make_vector(2), played)
    bare = AtariVectorEnv(
        "breakout", 2, max_num_frames_per_episode=800, stack_num=stack, reward_clipping=False,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )  # fmt: skip
    own = lambda x: np.moveaxis(x, 1, -1)
    np.testing.assert_array_equal(first, own(bare.reset(seed=atari_adapter._seeds(3, 2))[0]))
    assert first[..., -1].any() and not first[..., :-1].any()
    terminations = truncations = 0
    for step, action in zip(steps, played, strict=True):
        observation, reward, terminated, truncated, info = bare.step(action)
        ended = terminated | truncated
        np.testing.assert_array_equal(step.observation, own(observation))
        np.testing.assert_array_equal(step.next_observation[~ended], own(observation)[~ended])
        if ended.any():
            # ALE does not draw the last frame before a truncation.
            drawn = own(info["final_obs"])
            np.testing.assert_array_equal(step.next_observation[terminated], drawn[terminated])
            np.testing.assert_array_equal(step.next_observation[ended, ..., :-1], drawn[ended, ..., :-1])
        np.testing.assert_array_equal(step.reward, reward)
        np.testing.assert_array_equal(step.terminated, terminated)
        np.testing.assert_array_equal(step.truncated, truncated)
        np.testing.assert_array_equal(step.info["episode_ended"], ended)
        terminations, truncations = terminations + terminated.sum(), truncations + truncated.sum()
    assert terminations > 0 and truncations > 0
    assert (steps[0].reward.dtype, steps[0].terminated.dtype, steps[0].truncated.dtype) == (np.float32, bool, bool)


def test_a_truncation_delivers_the_true_final_observation():
    cut, whole = envs.make("atari:Pong", max_episode_frames=80), envs.make("atari:Pong")
    played = actions(cut, 20)
    for step, expected in zip(*(walk(env.make_vector(2), played)[1] for env in (cut, whole)), strict=True):
        np.testing.assert_array_equal(step.next_observation, expected.next_observation)
    assert step.truncated.all() and not expected.truncated.any()
    assert not step.observation[..., :-1].any()
    assert step.info["episode_length"].tolist() == [20, 20]


def test_a_stack_is_the_one_before_moved_on_by_a_frame():
    """What a replay that stores each frame once relies on; a life and a game begin with zeros and one frame."""
    (observation, steps), _ = breakout()
    for step in steps:
        np.testing.assert_array_equal(step.next_observation[..., :-1], observation[..., 1:])
        ended = step.terminated | step.truncated
        np.testing.assert_array_equal(step.observation[~ended], step.next_observation[~ended])
        assert not step.observation[ended][..., :-1].any()
        assert step.observation[..., -1].any()
        observation = step.observation


def test_a_lost_life_terminates_for_the_learner_alone():
    (_, learned), (_, evaluated) = breakout()
    ends = np.zeros(2, int)
    for step, whole in zip(learned, evaluated, strict=True):
        np.testing.assert_array_equal(step.reward, whole.reward)
        np.testing.assert_array_equal(step.info["episode_ended"], whole.terminated | whole.truncated)
        np.testing.assert_array_equal(whole.info["episode_ended"], whole.terminated | whole.truncated)
        # The game goes on with the frame in which the life was lost.
        lost = step.terminated & ~step.info["episode_ended"]
        np.testing.assert_array_equal(step.observation[lost][..., -1], step.next_observation[lost][..., -1])
        np.testing.assert_array_equal(step.observation[..., -1], whole.observation[..., -1])
        ends += step.terminated
        # Five lives.
        assert (ends[step.info["episode_ended"]] % 5 == 0).all()
    games = sum(step.info["episode_ended"] for step in learned)
    assert (games >= 1).all()
    np.testing.assert_array_equal(ends // 5, games)


def test_statistics_are_of_the_raw_reward_of_whole_games():
    env = envs.make("atari:SpaceInvaders")
    _, steps = walk(env.make_vector(2), actions(env, 600))
    returns, lengths, ends, lives = np.zeros(2), np.zeros(2, int), 0, 0
    for step in steps:
        returns, lengths = returns + step.reward, lengths + 1
        np.testing.assert_array_equal(step.info["episode_return"], returns)
        np.testing.assert_array_equal(step.info["episode_length"], lengths)
        over = step.info["episode_ended"]
        returns[over], lengths[over] = 0, 0
        ends, lives = ends + over.sum(), lives + (step.terminated & ~over).sum()
    assert ends > 0 and lives > 0
    assert max(step.reward.max() for step in steps) > 1, "rewards of Space Invaders are 5 and more"


def test_no_array_is_written_to_again():
    env = envs.make("atari:Breakout", max_episode_frames=40)
    vector, kept = env.make_vector(2), []
    kept.append((vector.reset(0), None))
    kept = [(kept[0][0], kept[0][0].copy())]
    for action in actions(env, 40):
        step = vector.step(action).timestep
        kept += [(x, x.copy()) for x in (*step[:5], *step.info.values())]
    for array, copy in kept:
        np.testing.assert_array_equal(array, copy)


def test_send_and_receive_are_a_step():
    env = envs.make("atari:Pong")
    played = actions(env, 30)
    stepped = walk(env.make_vector(2), played)[1]
    vector = env.make_vector(2)
    vector.reset(3)
    for action, expected in zip(played, stepped, strict=True):
        vector.send(action)
        step = vector.receive()
        np.testing.assert_array_equal(step.timestep.observation, expected.observation)
        assert step.valid is None


def test_an_action_may_be_sent_before_the_last_step_is_made():
    env = envs.make("atari:Breakout", max_episode_frames=700)
    played = actions(env, 400)
    _, stepped = walk(env.make_vector(2), played)
    vector = env.make_vector(2)
    vector.reset(3)
    vector.send(played[0])
    ends = np.zeros(3, int)
    for expected, following in zip(stepped, [*played[1:], None], strict=True):
        step = (vector.receive() if following is None else vector.receive_and_send(following)).timestep
        jax.tree.map(np.testing.assert_array_equal, step, expected)
        over = step.info["episode_ended"]
        ends += [(step.terminated & ~over).sum(), (step.terminated & over).sum(), step.truncated.sum()]
    assert (ends > 0).all(), "lives, games and time limits"


def test_the_seed_decides():
    env = envs.make("atari:Pong", sticky_actions=0.25)
    played = actions(env, 40)
    a, b, c = (walk(env.make_vector(2), played, seed)[1][-1].observation for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert (a[0] != a[1]).any()


def test_sticky_actions_hold_on_to_the_action_before():
    free, sticky = (envs.make("atari:Pong", noop_max=0, sticky_actions=p) for p in (0.0, 0.9))
    same = np.repeat(actions(free, 30, num_envs=1), 2, axis=1)
    for env, alike in ((free, True), (sticky, False)):
        observation = walk(env.make_vector(2), same)[1][-1].observation
        assert np.array_equal(*observation) == alike


def test_an_impossible_action_is_refused():
    vector = envs.make("atari:Pong").make_vector(2)
    vector.reset(0)
    for action in ([0, 6], [-1, 0]):
        with pytest.raises(ValueError, match=r"action=.*: must be from 0 to 5"):
            vector.step(np.array(action))
    vector.step(np.array([0, 5]))


def test_protocols():
    def options(**parameters):
        return atari_adapter._options("Pong", parameters.pop("protocol", "classic"), parameters)

    assert options() == Options()
    machado = options(protocol="machado")
    assert (machado.noop_max, machado.sticky_actions, machado.episodic_life, machado.fire_reset) == (0, 0.25, 0, 0)
    assert options(protocol="machado", noop_max=7) == dataclasses.replace(machado, noop_max=7)
    assert envs.make("atari:Pong", full_action_space=True).action_space == spaces.Discrete(18)
    small = envs.make("atari:Pong", image_size=42, frame_stack=1, frame_skip=2, max_episode_frames=101)
    assert (small.observation_space.shape, small.max_episode_steps) == ((42, 42, 1), 51)
    assert small.make_vector(3).reset(0).shape == (3, 42, 42, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("pong", {}, r"env='pong': atari has no such game; did you mean 'Pong'\?"),
        ("PongNoFrameskip-v4", {}, r"did you mean 'Pong'\?"),
        ("Pong", {"protocol": "machedo"}, r"protocol='machedo': must be one of classic, machado; did you mean"),
        ("Pong", {"nopmax": 3}, r"env='Pong': atari has no parameter 'nopmax'; did you mean 'noop_max'\?"),
        ("Pong", {"noop_max": -1}, "noop_max=-1: must be an integer >= 0"),
        ("Pong", {"frame_skip": 0}, "frame_skip=0: must be an integer >= 1"),
        ("Pong", {"frame_stack": 4.0}, "frame_stack=4.0: must be an integer >= 1"),
        ("Pong", {"image_size": True}, "image_size=True: must be an integer >= 1"),
        ("Pong", {"sticky_actions": 1.5}, "sticky_actions=1.5: must be a probability below 1"),
        ("Pong", {"episodic_life": "yes"}, "episodic_life='yes': must be true or false"),
    ],
)
def test_errors_say_what_to_do(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        envs.make(f"atari:{name}", **parameters)


def test_a_single_game_shows_what_the_policy_sees():
    env = envs.make("atari:Breakout", max_episode_frames=400)
    played = actions(env, 100, num_envs=1)
    first, steps = walk(env.make_eval_vector(1), played, seed=9)
    single = env.make_single("rgb_array")
    assert single.metadata["render_fps"] == 15
    observation, _ = single.reset(seed=9)
    np.testing.assert_array_equal(observation, first[0])
    pictures = [single.render()]
    for action, step in zip(played[:, 0], steps, strict=True):
        observation, reward, terminated, truncated, _ = single.step(int(action))
        np.testing.assert_array_equal(observation, step.next_observation[0])
        assert (reward, terminated, truncated) == (step.reward[0], step.terminated[0], step.truncated[0])
        pictures.append(single.render())
    assert truncated
    assert {(p.shape, str(p.dtype)) for p in pictures} == {((210, 160, 3), "uint8")}
    # The same scene: where the picture is black, the grey frame is.
    rows = np.linspace(0, 209, 84).round().astype(int)
    columns = np.linspace(0, 159, 84).round().astype(int)
    grey = pictures[60].astype(float).mean(axis=-1)[rows][:, columns]
    assert np.corrcoef(grey.ravel(), steps[59].next_observation[0, ..., -1].astype(float).ravel())[0, 1] > 0.8
    single.close()
    unseen = env.make_single(None)
    unseen.reset()
    assert unseen.render() is None
    with pytest.raises(ValueError, match="render_mode='human'"):
        env.make_single("human")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_stacks(size):
    frames = np.random.default_rng(0).integers(256, size=(12, 2, 5, 3), dtype=np.uint8)
    stack = _first_stack(frames[0], size)
    expected = np.zeros((2, 5, 3, size), np.uint8)
    expected[..., -1] = frames[0]
    np.testing.assert_array_equal(stack, expected)
    for frame in frames[1:]:
        before, copy = stack, stack.copy()
        stack = _next_stack(stack, frame)
        expected = np.concatenate([expected[..., 1:], frame[..., None]], axis=-1)
        np.testing.assert_array_equal(stack, expected)
        np.testing.assert_array_equal(before, copy)
        assert stack.dtype == np.uint8 and stack.flags.c_contiguous
        assert stack.ctypes.data % 64 == 0  # so that JAX need not copy it


def test_check_passes():
    report = envs.check(envs.make("atari:Breakout", image_size=36, frame_stack=2, max_episode_frames=400))
    assert report.longest == 100
    assert report.warnings == ()


def test_play_draws_the_game():
    from types import SimpleNamespace

    import jax.numpy as jnp

    from jaxrl.experiment.play import Player, frames

    seen = []

    def act(policy, observation, carry, key, hp, explore):
        seen.append((observation.shape, str(observation.dtype)))
        return jnp.zeros(1, jnp.int32), carry, {}

    agent = SimpleNamespace(act=act, initial_carry=lambda size: ())
    player = Player(agent, envs.make("atari:Pong"), policy=(), hp=None, explore=False)
    shown = list(frames(player, num_episodes=1, max_steps=5, key=jax.random.key(0)))
    assert seen == [((1, 84, 84, 4), "uint8")]
    assert [frame.episode_length for frame in shown] == list(range(6))
    assert {frame.image.shape for frame in shown} == {(210, 160, 3)}
