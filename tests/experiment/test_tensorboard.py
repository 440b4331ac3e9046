import math
import os

import pytest

from jaxrl.experiment.tensorboard import TensorBoardLogger, read_events


def report(steps, seeds=(0, 1), **values):
    return [{"steps": steps, "seed": seed, "episode_return": float(steps + seed), **values} for seed in seeds]


def values(directory, tag="losses/loss"):
    """``(step, value)`` of all that the files hold, in any order that TensorBoard may find them."""
    return sorted(
        (event.step, value.simple_value)
        for path in directory.rglob("events.*")
        for event, _ in read_events(path)
        for value in event.summary.value
        if value.tag == tag
    )


def _scalars(directory):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(directory))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_it_has_a_run_for_each_seed(tmp_path):
    logger = TensorBoardLogger(tmp_path / "tensorboard")
    logger.write(report(10, eval_return=math.nan, loss=0.5, steps_per_second=100))
    logger.write(report(20, eval_return=3.0, loss=0.25, steps_per_second=100))
    logger.close()
    assert sorted(os.listdir(tmp_path / "tensorboard")) == ["seed_0", "seed_1"]
    assert _scalars(tmp_path / "tensorboard" / "seed_1") == {
        "train/episode_return": [(10, 11.0), (20, 21.0)],
        "eval/return": [(20, 3.0)],
        "losses/loss": [(10, 0.5), (20, 0.25)],
        "time/steps_per_second": [(10, 100.0), (20, 100.0)],
    }


def test_what_a_resumed_run_does_again_is_in_the_files_once(tmp_path):
    for start, end, loss in [(1, 4, 1.0), (3, 6, 2.0), (1, 3, 3.0)]:
        logger = TensorBoardLogger(tmp_path)
        logger.truncate_after(start - 1)
        for steps in range(start, end):
            logger.write(report(steps, seeds=[5], loss=loss))
        logger.close()
        if start == 3:
            both = [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)]
            assert values(tmp_path) == both and _scalars(tmp_path)["losses/loss"] == both
    assert values(tmp_path) == [(1, 3.0), (2, 3.0)]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_flushed_is_in_the_file_at_once(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    for steps in range(1, 100):
        logger.write(report(steps, seeds=[5], loss=0.5))
    logger.flush()
    assert values(tmp_path) == [(steps, 0.5) for steps in range(1, 100)]
    logger.close()


@pytest.mark.parametrize("kept", [0, 5, 13, -17, -3])
def test_a_record_that_was_cut_off_is_dropped(tmp_path, kept):
    logger = TensorBoardLogger(tmp_path)
    logger.write(report(1, seeds=[5], loss=0.5))
    logger.flush()
    (path,) = tmp_path.iterdir()
    whole = path.stat().st_size
    logger.write(report(2, seeds=[5], loss=0.25))
    logger.close()
    os.truncate(path, whole + kept if kept >= 0 else path.stat().st_size + kept)
    assert values(tmp_path) == [(1, 0.5)]
    logger = TensorBoardLogger(tmp_path)
    logger.truncate_after(5)
    assert path.stat().st_size == whole
    logger.write(report(6, seeds=[5], loss=0.125))
    logger.close()
    assert values(tmp_path) == [(1, 0.5), (6, 0.125)] == _scalars(tmp_path)["losses/loss"]
