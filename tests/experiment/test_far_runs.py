"""A run of 10^12 steps: its last two intervals, in every part of a run."""

import jax

import jaxrl
from jaxrl.counters import Counter
from jaxrl.experiment import folder, intervals
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.checkpoints import Checkpoints
from jaxrl.experiment.loggers import read_csv
from jaxrl.experiment.tensorboard import read_events

STEPS = 10**12
CONFIG = {"num_envs": 2, "rollout_length": 4, "num_minibatches": 1, "num_epochs": 1, "hidden_sizes": (4,)}


def test_a_run_ends_at_a_trillion_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(intervals, "interval_lengths", lambda iterations, count: [iterations - 2, 1, 1])
    schedule = jaxrl.linear(1e-3, 0.0, fraction=1.0)
    settings = run_settings.make_settings(
        "ppo", "CartPole-v1", STEPS, preset="none", config=CONFIG, hp={"learning_rate": schedule}, num_evaluations=1,
        eval_episodes=1,
    )  # fmt: skip
    runner = folder.new_runner(settings, run_settings.build(settings))
    before = runner.num_iterations - 2
    state = runner.init()._replace(iteration=jax.tree.map(lambda x: x[None], Counter.of(before)))
    run_settings.save(settings, tmp_path)
    Checkpoints(tmp_path / folder.CHECKPOINTS).save(runner.steps_after(before), state, {})

    result = jaxrl.resume(tmp_path, progress=True)
    assert f"resuming {tmp_path} at step {STEPS - 16} of {STEPS}" in capsys.readouterr().err
    assert result.summary["steps"] == STEPS
    assert int(jax.tree.map(lambda x: x[0], result.state.iteration)) == STEPS // 8
    assert list(read_csv(tmp_path / "metrics.csv")["steps"]) == [STEPS - 8, STEPS]
    assert f"{STEPS},0," in (tmp_path / "metrics.csv").read_text()
    assert Checkpoints(tmp_path / folder.CHECKPOINTS).steps() == [STEPS - 16, STEPS - 8, STEPS]
    events = [event for path in (tmp_path / "tensorboard").rglob("events.*") for event, _ in read_events(path)]
    assert {event.step for event in events if event.summary.value} == {STEPS - 8, STEPS}
    assert jaxrl.evaluate_run(tmp_path, num_episodes=1).step == STEPS
