import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from jaxrl import envs
from jaxrl.envs import gymnasium_adapter
from jaxrl.envs.gymnasium_adapter import EnvironmentList, delivered_space, seeds_of
from jaxrl.envs.info_masks import MaskFromInfo


def zeros(num_envs):
    """The canonical action that is the middle of the bounds ``[-1, 3]`` and ``[0, 10]``: reward 1."""
    return np.zeros((num_envs, 2), np.float32)


def counters(Counter, lengths, **options):
    return [lambda i=i, n=n: Counter(n, number=i, **options) for i, n in enumerate(lengths)]


def columns(observation):
    """Episode and count of each environment."""
    return [tuple(int(v) for v in row[1:]) for row in observation]


def test_mujoco_is_cut_off_by_its_time_limit_and_fails_by_itself():
    """Hopper: three steps with the muscles still, then full force until it falls."""
    pytest.importorskip("mujoco")
    vector = envs.make("gymnasium:Hopper-v5", max_episode_steps=3).make_vector(1)
    first = vector.reset(seed=0)
    assert first.dtype == np.float32
    by_hand = gymnasium.make("Hopper-v5")
    observation, _ = by_hand.reset(seed=seeds_of(0, 1)[0])
    np.testing.assert_array_equal(first[0], observation.astype(np.float32))
    for t in range(3):
        step = vector.step(np.zeros((1, 3), np.float32)).timestep
        observation, reward, *_ = by_hand.step(np.zeros(3))
        np.testing.assert_array_equal(step.next_observation[0], observation.astype(np.float32))
        assert (step.reward[0], step.terminated[0], step.truncated[0]) == (np.float32(reward), False, t == 2)
    assert not np.array_equal(step.observation, step.next_observation)

    vector = envs.make("gymnasium:Hopper-v5").make_vector(1)
    vector.reset(seed=0)
    ends = [vector.step(np.ones((1, 3), np.float32)).timestep for _ in range(200)]
    assert any(step.terminated[0] for step in ends) and not any(step.truncated[0] for step in ends)


def test_as_stepped_by_hand():
    """CartPole, stepped one at a time, with resets and seeds as documented."""
    env = envs.make("gymnasium:CartPole-v1")
    assert env.max_episode_steps == 500
    vector = env.make_vector(3)
    observation = vector.reset(seed=5)
    by_hand = [gymnasium.make("CartPole-v1") for _ in range(3)]
    expected = np.stack([e.reset(seed=s)[0] for e, s in zip(by_hand, seeds_of(5, 3), strict=True)])
    np.testing.assert_array_equal(observation, expected)
    rng, returns, ends = np.random.default_rng(0), np.zeros(3), 0
    for _ in range(120):
        action = rng.integers(2, size=3).astype(np.int32)
        timestep, valid = vector.step(action)
        assert valid is None
        for i, e in enumerate(by_hand):
            final, reward, terminated, truncated, _ = e.step(action[i])
            returns[i] += reward
            np.testing.assert_array_equal(timestep.next_observation[i], final)
            assert (timestep.reward[i], timestep.terminated[i], timestep.truncated[i]) == (
                reward,
                terminated,
                truncated,
            )
            assert timestep.info["episode_return"][i] == returns[i]
            ended = terminated or truncated
            np.testing.assert_array_equal(timestep.observation[i], e.reset()[0] if ended else final)
            returns[i], ends = 0 if ended else returns[i], ends + ended
    assert ends > 10
    vector.close()


def make_vector(Counter, mode, lengths=(3, 2)):
    if mode is None:
        return EnvironmentList([make() for make in counters(Counter, lengths)])
    env = envs.from_vector(lambda n: SyncVectorEnv(counters(Counter, lengths[:n]), autoreset_mode=mode))
    return env.make_vector(len(lengths))


@pytest.mark.parametrize("mode", [None, AutoresetMode.SAME_STEP])
def test_same_step_reset(Counter, mode):
    vector = make_vector(Counter, mode)
    assert columns(vector.reset(seed=0)) == [(0, 0), (0, 0)]
    steps = [vector.step(zeros(2)) for _ in range(4)]
    assert [columns(s.timestep.next_observation) for s in steps] == [
        [(0, 1), (0, 1)], [(0, 2), (0, 2)], [(0, 3), (1, 1)], [(1, 1), (1, 2)],
    ]  # fmt: skip
    assert [columns(s.timestep.observation) for s in steps] == [
        [(0, 1), (0, 1)], [(0, 2), (1, 0)], [(1, 0), (1, 1)], [(1, 1), (2, 0)],
    ]  # fmt: skip
    assert [s.timestep.terminated.tolist() for s in steps] == [
        [False, False],
        [False, True],
        [True, False],
        [False, True],
    ]
    assert [s.timestep.info["episode_length"].tolist() for s in steps] == [[1, 1], [2, 2], [3, 1], [1, 2]]
    assert [s.timestep.info["episode_return"].tolist() for s in steps] == [[1, 1], [2, 2], [3, 1], [1, 2]]
    assert all(s.valid is None for s in steps)


def test_next_step_reset_marks_the_dummy_step(Counter):
    vector = make_vector(Counter, AutoresetMode.NEXT_STEP)
    assert columns(vector.reset(seed=0)) == [(0, 0), (0, 0)]
    steps = [vector.step(zeros(2)) for _ in range(5)]
    assert [columns(s.timestep.next_observation) for s in steps] == [
        [(0, 1), (0, 1)], [(0, 2), (0, 2)], [(0, 3), (1, 0)], [(1, 0), (1, 1)], [(1, 1), (1, 2)],
    ]  # fmt: skip
    assert [s.valid.tolist() for s in steps] == [[True, True], [True, True], [True, False], [False, True], [True, True]]
    assert [s.timestep.terminated.tolist() for s in steps] == [
        [False, False], [False, True], [True, False], [False, False], [False, True],
    ]  # fmt: skip
    lengths = [s.timestep.info["episode_length"].tolist() for s in steps]
    assert lengths == [[1, 1], [2, 2], [3, 0], [0, 1], [1, 2]]
    assert lengths == [s.timestep.info["episode_return"].tolist() for s in steps]


def test_both_modes_give_the_same_transitions(Counter):
    """The valid steps of next-step reset, in order, are the steps of same-step reset."""
    episodes = {}
    for mode, steps in ((AutoresetMode.SAME_STEP, 12), (AutoresetMode.NEXT_STEP, 16)):
        vector = make_vector(Counter, mode, lengths=(3,))
        observation, seen = vector.reset(seed=0), []
        for _ in range(steps):
            timestep, valid = vector.step(zeros(1))
            if valid is None or valid[0]:
                seen.append((*columns(observation), *columns(timestep.next_observation), bool(timestep.terminated[0])))
            observation = timestep.observation
        episodes[mode] = seen[:12]
    assert episodes[AutoresetMode.SAME_STEP] == episodes[AutoresetMode.NEXT_STEP]


def test_two_vector_environments_of_one_class_keep_their_modes(Counter):
    """Gymnasium keeps the mode in metadata that all environments of a class share."""
    first = SyncVectorEnv(counters(Counter, [2]), autoreset_mode=AutoresetMode.SAME_STEP)
    SyncVectorEnv(counters(Counter, [2]), autoreset_mode=AutoresetMode.NEXT_STEP)
    vector = envs.from_vector(first).make_vector(1)
    vector.reset(seed=0)
    assert vector.step(zeros(1)).valid is None


@pytest.mark.parametrize("mode", [None, AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_send_and_receive_are_a_step(Counter, mode):
    stepping, sending = make_vector(Counter, mode), make_vector(Counter, mode)
    np.testing.assert_array_equal(stepping.reset(seed=0), sending.reset(seed=0))
    for t in range(4):
        action = zeros(2) + 0.1 * t
        expected = stepping.step(action)
        sending.send(action)
        jax.tree.map(np.testing.assert_array_equal, sending.receive(), expected)


def test_an_asynchronous_vector_environment_steps_while_the_driver_computes():
    make = [lambda: gymnasium.make("CartPole-v1", max_episode_steps=2)]
    options = {"autoreset_mode": AutoresetMode.SAME_STEP}
    asynchronous = AsyncVectorEnv(make, **options, context="spawn")
    vector = envs.from_vector(asynchronous).make_vector(1)
    expected = envs.from_vector(SyncVectorEnv(make, **options)).make_vector(1)
    np.testing.assert_array_equal(vector.reset(seed=0), expected.reset(seed=0))
    for _ in range(3):
        vector.send(np.ones(1, np.int32))
        assert asynchronous._state.value == "step"
        step = vector.receive()
        jax.tree.map(np.testing.assert_array_equal, step, expected.step(np.ones(1, np.int32)))
    assert step.timestep.info["episode_length"].tolist() == [1]
    asynchronous.close()


def test_without_auto_reset_is_refused(Counter):
    make = lambda n: SyncVectorEnv(counters(Counter, [2] * n), autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(ValueError, match="autoreset_mode=DISABLED: .*SAME_STEP or NEXT_STEP"):
        envs.from_vector(make)


def test_a_ready_vector_environment_is_lent_to_one_user(Counter):
    ready = SyncVectorEnv(counters(Counter, [2, 2]), autoreset_mode=AutoresetMode.SAME_STEP)
    env = envs.from_vector(ready)
    assert env.num_envs == 2
    with pytest.raises(ValueError, match="num_envs=4: the given vector environment has 2"):
        env.make_vector(4)
    vector = env.make_vector(2)
    with pytest.raises(ValueError, match="already in use"):
        env.make_vector(2)
    vector.close()
    env.make_vector(2).reset(seed=0)


@pytest.mark.parametrize("mode", [None, AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("kind", ["dict", "tuple"])
def test_nested_observations(Counter, kind, mode):
    make = lambda: Counter(2, observation=kind)
    if mode is None:
        env = envs.from_gymnasium(make)
    else:
        env = envs.from_vector(lambda n: SyncVectorEnv([make] * n, autoreset_mode=mode))
    vector = env.make_vector(2)
    first = vector.reset(seed=0)
    vector.step(zeros(2))
    timestep, _ = vector.step(zeros(2))
    count = lambda observation: observation["count"] if kind == "dict" else observation[1]
    assert count(first).tolist() == [0, 0]
    assert count(timestep.next_observation).tolist() == [2, 2]
    assert count(timestep.observation).tolist() == ([2, 2] if mode == AutoresetMode.NEXT_STEP else [0, 0])
    dtypes = {str(x.dtype) for x in jax.tree.leaves(first)}
    assert dtypes == ({"int32", "uint8"} if kind == "dict" else {"float32", "int32"})
    assert jax.tree.structure(first) == jax.tree.structure(timestep.next_observation)
    assert envs.check(env).episodes > 0


def test_actions_reach_the_environment_rescaled(Counter):
    made = []

    def make():
        made.append(Counter(5))
        return made[-1]

    vector = envs.from_gymnasium(make).make_vector(2)
    vector.reset(seed=0)
    vector.step(np.array([[-1, -1], [1, 7]], np.float32))
    received = [env.actions[0] for env in made[-2:]]
    np.testing.assert_array_equal(received, [[-1, 0], [3, 10]])
    assert received[0].dtype == np.float32


@pytest.mark.parametrize("kind", ["single", "vector", "ready"])
def test_actions_reach_the_environment_as_they_are_if_they_are_not_to_be_clipped(Counter, kind):
    made = []

    def make():
        made.append(Counter(5))
        return made[-1]

    def make_vector(n):
        return SyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP)

    match kind:
        case "single":
            env = envs.from_gymnasium(make, clip_actions=False)
        case "vector":
            env = envs.from_vector(make_vector, clip_actions=False)
        case "ready":
            env = envs.from_vector(make_vector(2), clip_actions=False)
    assert env.action_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    vector = env.make_vector(2)
    vector.reset(seed=0)
    # Beyond the bounds of [-1, 3] and [0, 10].
    vector.step(np.array([[-7, 0.5], [1, 70]], np.float32))
    np.testing.assert_array_equal([env.actions[0] for env in made[-2:]], [[-7, 0.5], [1, 70]])


def test_discrete_actions_start_where_the_space_does():
    class Starting(gymnasium.Env):
        observation_space, action_space = spaces.Discrete(9), spaces.Discrete(3, start=5)

        def reset(self, *, seed=None, options=None):
            return 0, {}

        def step(self, action):
            assert self.action_space.contains(action)
            return action, 0.0, False, False, {}

    env = envs.from_gymnasium(Starting)
    vector = env.make_vector(2)
    assert vector.reset(seed=0).tolist() == [0, 0]
    assert vector.step(np.array([0, 2])).timestep.observation.tolist() == [5, 7]
    assert env.name == "Starting"


def test_a_termination_at_the_time_limit_is_no_truncation(Counter):
    vector = envs.from_gymnasium(lambda: TimeLimit(Counter(2), 2)).make_vector(1)
    vector.reset(seed=0)
    vector.step(zeros(1))
    timestep, _ = vector.step(zeros(1))
    assert (timestep.terminated.tolist(), timestep.truncated.tolist()) == ([True], [False])
    vector = envs.from_gymnasium(lambda: TimeLimit(Counter(2, terminates=False), 2)).make_vector(1)
    vector.reset(seed=0)
    vector.step(zeros(1))
    timestep, _ = vector.step(zeros(1))
    assert (timestep.terminated.tolist(), timestep.truncated.tolist()) == ([False], [True])


def test_a_dummy_step_follows_either_end_of_a_vector_environment(Counter):
    makes = [lambda t=t: TimeLimit(Counter(2, terminates=t), 2) for t in (True, False)]
    env = envs.from_vector(lambda n: SyncVectorEnv(makes[:n], autoreset_mode=AutoresetMode.NEXT_STEP))
    vector = env.make_vector(2)
    vector.reset(seed=0)
    steps = [vector.step(zeros(2)) for _ in range(4)]
    assert steps[1].timestep.terminated.tolist() == [True, False]
    assert steps[1].timestep.truncated.tolist() == [False, True]
    assert [s.valid.tolist() for s in steps] == [[True] * 2, [True] * 2, [False] * 2, [True] * 2]
    assert [s.timestep.info["episode_length"].tolist() for s in steps] == [[1, 1], [2, 2], [0, 0], [1, 1]]


class TwoRewards(gymnasium.Env):
    """Two steps with the rewards ``(1, 10)`` and ``(2, 20)``."""

    observation_space, action_space = spaces.Discrete(3), spaces.Discrete(2)
    reward_space = spaces.Box(0, 20, (2,))

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return 0, {}

    def step(self, action):
        self.count += 1
        return self.count, np.array([1.0, 10.0]) * self.count, self.count == 2, False, {}


def test_vectors_of_rewards_are_what_the_environment_declares_and_are_summed_in_reports():
    env = envs.from_gymnasium(lambda: TimeLimit(TwoRewards(), 5))
    assert env.spec.reward_shape == env.reward_shape == (2,)
    assert envs.make("gymnasium:CartPole-v1").reward_shape == ()
    vector = env.make_vector(3)
    vector.reset(seed=0)
    steps = [vector.step(np.zeros(3, np.int32)).timestep for _ in range(3)]
    np.testing.assert_array_equal([s.reward[0] for s in steps], [[1, 10], [2, 20], [1, 10]])
    np.testing.assert_array_equal([s.info["episode_return"] for s in steps], np.full((3, 3), [[11], [33], [11]]))
    assert steps[0].reward.dtype == np.float32
    assert envs.check(env).episodes > 0


def test_the_final_observation_survives_an_environment_that_reuses_its_array():
    class Reusing(gymnasium.Env):
        observation_space, action_space = spaces.Box(0, 9, (1,)), spaces.Discrete(2)
        array = np.zeros(1, np.float32)

        def reset(self, *, seed=None, options=None):
            self.array[:] = 0
            return self.array, {}

        def step(self, action):
            self.array += 1
            return self.array, 0.0, self.array[0] >= 2, False, {}

    vector = envs.from_gymnasium(Reusing).make_vector(1)
    vector.reset(seed=0)
    first = vector.step(np.array([0])).timestep
    last = vector.step(np.array([0])).timestep
    assert [first.next_observation.item(), last.next_observation.item(), last.observation.item()] == [1, 2, 0]


def test_the_same_seed_gives_the_same_episodes_and_seeds_share_none():
    vector = envs.make("gymnasium:CartPole-v1").make_vector(2)
    np.testing.assert_array_equal(vector.reset(seed=3), vector.reset(seed=3))
    assert not set(seeds_of(0, 8)) & set(seeds_of(1, 8))
    assert seeds_of(0, 8)[:4] == seeds_of(0, 4)


def test_parameters_and_single_environments():
    env = envs.make("gymnasium:CartPole-v1", max_episode_steps=7, sutton_barto_reward=True)
    assert env.max_episode_steps == 7
    assert env.spec.action_space == spaces.Discrete(2)
    single = env.make_single("rgb_array")
    single.reset(seed=0)
    assert single.render().shape == (400, 600, 3)
    single.close()
    assert env.make_single(None).render_mode is None


def test_a_mask_that_is_told_in_info_is_observed():
    vector = envs.make("gymnasium:Taxi-v4", mask_from_info=True).make_vector(2)
    observation, single = vector.reset(seed=3), gymnasium.make("Taxi-v4", disable_env_checker=True)
    known = [single.reset(seed=s)[1]["action_mask"] for s in seeds_of(3, 2)]
    np.testing.assert_array_equal(observation["action_mask"], known)
    action = np.array([np.flatnonzero(mask)[-1] for mask in known])
    vector.send(action)
    single.reset(seed=seeds_of(3, 2)[1])
    np.testing.assert_array_equal(
        vector.receive().timestep.observation["action_mask"][1], single.step(action[1])[4]["action_mask"]
    )


def test_a_mask_joins_a_dict_and_has_an_entry_for_each_choice():
    class Told(gymnasium.Env):
        observation_space = spaces.Dict(x=spaces.Box(-1, 1, (1,)))
        action_space = spaces.MultiDiscrete([2, 2])

        def reset(self, *, seed=None, options=None):
            return {"x": np.zeros(1, np.float32)}, {}

        def step(self, action):
            return {"x": np.ones(1, np.float32)}, 0.0, False, False, {"action_mask": self.mask}

    env = MaskFromInfo(Told())
    assert set(env.observation_space.spaces) == {"x", "action_mask"}
    np.testing.assert_array_equal(env.reset()[0]["action_mask"], [1, 1, 1, 1])
    env.unwrapped.mask = (np.array([1, 0]), np.array([0, 1]))
    np.testing.assert_array_equal(env.step(0)[0]["action_mask"], [1, 0, 0, 1])
    env.unwrapped.mask = np.array([1, 0])
    with pytest.raises(ValueError, match=r"action_mask.*must have 4 entries"):
        env.step(0)


def test_delivered_dtypes():
    wide = spaces.Dict({"a": spaces.Box(-1e300, np.inf, (2,), np.float64), "b": spaces.Box(0, 2**40, (1,), np.int64)})
    space = delivered_space(wide)
    assert (space["a"].dtype, space["b"].dtype) == (np.float32, np.int32)
    assert np.isfinite(space["a"].low).all()
    assert np.isinf(space["a"].high).all()
    byte = spaces.Box(0, 255, (2, 2), np.uint8)
    assert delivered_space(byte) is byte


def test_errors_say_what_to_do(monkeypatch, Counter):
    with pytest.raises(ValueError, match=r"env='CartPole-v9': .*did you mean 'CartPole-v1'\?"):
        envs.make("gymnasium:CartPole-v9")
    with pytest.raises(ValueError, match="env='CartPole-v1': .*gravity"):
        envs.make("gymnasium:CartPole-v1", gravity=1.0)
    with pytest.raises(TypeError, match="made a int"):
        envs.from_gymnasium(lambda: 3)
    with pytest.raises(TypeError, match="takes a function"):
        envs.from_gymnasium(Counter())

    def missing(*args, **kwargs):
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed") from ImportError(
            "No module named 'mujoco'"
        )

    monkeypatch.setattr(gymnasium_adapter.gymnasium, "make", missing)
    for name, extra in (("Ant-v5", "mujoco"), ("LunarLander-v3", "box2d")):
        with pytest.raises(ImportError, match=rf"env='{name}': .*pip install 'jaxrl\[{extra}\]'"):
            envs.make(name)


def test_unsupported_spaces_are_refused(Counter):
    class Text(Counter):
        def __init__(self):
            super().__init__()
            self.observation_space = spaces.Text(3)

    with pytest.raises(TypeError, match="does not support the space Text"):
        envs.from_gymnasium(Text)


def test_a_same_step_reset_without_final_observations_is_refused(Counter):
    class Forgetful(SyncVectorEnv):
        def step(self, actions):
            return (*super().step(actions)[:4], {})

    env = envs.from_vector(lambda n: Forgetful(counters(Counter, [1] * n), autoreset_mode=AutoresetMode.SAME_STEP))
    vector = env.make_vector(1)
    vector.reset(seed=0)
    with pytest.raises(ValueError, match="final_obs"):
        vector.step(zeros(1))
