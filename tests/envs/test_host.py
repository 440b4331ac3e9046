import numpy as np

from jaxrl.envs import HostEnvironment
from jaxrl.envs.host import RunningEpisodes, VectorEnv


def test_running_episodes_start_anew_after_an_end():
    episodes = RunningEpisodes(2)
    first = episodes.add(np.array([1, 2], np.float32), np.array([False, True]))
    second = episodes.add(np.array([3, 4], np.float32), np.array([False, False]))
    assert first["episode_return"].tolist() == [1, 2]
    assert second["episode_return"].tolist() == [4, 4]
    assert second["episode_length"].tolist() == [2, 1]
    assert (second["episode_return"].dtype, second["episode_length"].dtype) == (np.float32, np.int32)


def test_a_step_that_is_not_valid_counts_nothing():
    episodes = RunningEpisodes(2)
    nobody = np.array([False, False])
    episodes.add(np.array([1, 1], np.float32), nobody)
    info = episodes.add(np.array([5, 5], np.float32), nobody, np.array([False, True]))
    assert info["episode_return"].tolist() == [1, 6]
    assert info["episode_length"].tolist() == [1, 2]


def test_running_sums_are_fresh_arrays():
    episodes = RunningEpisodes(1)
    infos = [episodes.add(np.ones(1, np.float32), np.array([t == 1])) for t in range(3)]
    assert [info["episode_return"].item() for info in infos] == [1, 2, 1]


def test_the_spec_is_what_an_algorithm_needs(Counter):
    space = Counter().action_space
    env = HostEnvironment("name", space, space, 7, make_vector=lambda n: None)
    assert (env.spec.name, env.spec.max_episode_steps, env.spec.action_space) == ("name", 7, space)


def test_a_step_is_a_send_and_a_receive():
    class Echo(VectorEnv):
        def send(self, action):
            self.action = action

        def receive(self):
            return self.action

    echo = Echo()
    assert echo.step(3) == 3
    assert (echo.receive_and_send(4), echo.receive()) == (3, 4)
