import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxrl.experiment import plots
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.loggers import CSVLogger
from jaxrl.experiment.plots import confidence, find_runs, plot_curve, plot_runs, plot_sweep


def make_run(directory, algorithm="ppo", env="CartPole-v1", seeds=3, intervals=6, evaluate=True, level=100.0):
    logger = CSVLogger(directory / "metrics.csv")
    for t in range(1, intervals + 1):
        rows = []
        for seed in range(seeds):
            row = {"steps": 100 * t, "seed": seed, "episode_return": level + 10 * t + seed, "loss": 1.0 / t}
            if evaluate:
                row["eval_return"] = level + 20 * t + seed if t % 2 == 0 else float("nan")
            rows.append(row)
        logger.write(rows)
    logger.close()
    (directory / "config.yaml").write_text(f"algorithm: {algorithm}\nenv: {env}\ntotal_steps: 600\n")
    return directory


@pytest.fixture
def drawn(monkeypatch):
    """The axes of each picture that is written."""
    figures = []
    save = plots._save

    def keep(figure, output):
        figures.append(figure)
        return save(figure, output)

    monkeypatch.setattr(plots, "_save", keep)
    return figures


def colours_of(path):
    with Image.open(path) as image:
        return {c for _, c in image.convert("RGB").getcolors(10**6)}


def as_rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_confidence_is_students_t():
    # Three seeds: t(0.975, 2) = 4.302653; the sd of 1, 2, 6 is sqrt(7), of the pair 2, 4 sqrt(2), t = 12.706205.
    values = np.array([[1.0, 2.0, np.nan], [2.0, 4.0, np.nan], [6.0, np.nan, 5.0]])
    mean, half = confidence(values)
    np.testing.assert_allclose(mean, [3, 3, 5])
    np.testing.assert_allclose(half, [4.302653 * np.sqrt(7 / 3), 12.706205 * np.sqrt(2 / 2), np.nan], rtol=1e-6)


def test_a_curve_shows_the_evaluations_of_a_run(tmp_path, drawn):
    path = plot_curve(make_run(tmp_path / "run"))
    assert path == tmp_path / "run" / "curve.png"
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "ppo on CartPole-v1"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("environment steps", "evaluation return")
    assert "mean of 3 seeds with 95 % confidence band (Student's t)" in drawn[0]._supxlabel.get_text()
    *single, mean = axes.lines
    assert len(single) == 3
    np.testing.assert_array_equal(mean.get_xdata(), [200, 400, 600])
    np.testing.assert_allclose(mean.get_ydata(), [141, 181, 221])
    # The sd of 0, 1, 2 is 1.
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(221 + 4.302653 / np.sqrt(3))
    with Image.open(path) as image:
        assert image.size == (1200, 720)
    assert as_rgb(plots.COLOURS[0]) in colours_of(path)
    assert sorted(os.listdir(tmp_path / "run")) == ["config.yaml", "curve.png", "metrics.csv"]


def test_a_run_without_evaluations_or_settings_can_be_drawn_too(tmp_path, drawn):
    run = make_run(tmp_path / "plain", seeds=1, evaluate=False)
    (run / "config.yaml").unlink()
    plot_curve(run)
    (axes,) = drawn[0].axes
    assert axes.get_ylabel() == "episode return" and axes.get_title(loc="left") == "plain"
    assert drawn[0]._supxlabel.get_text() == "one seed"
    (run / "config.yaml").write_text(": not yaml [")
    (run / "summary.json").write_text('{"algorithm": "dqn", "env": "Acrobot-v1"}')
    plot_curve(run)
    assert drawn[1].axes[0].get_title(loc="left") == "dqn on Acrobot-v1"


def test_an_interval_in_which_no_episode_ended_does_not_bend_the_mean(tmp_path, drawn):
    logger = CSVLogger(tmp_path / "run" / "metrics.csv")
    returns = {0: [0.0, 10.0, 20.0], 1: [100.0, float("nan"), 120.0], 2: [float("nan"), 50.0, float("nan")]}
    for t in range(3):
        logger.write([{"steps": t, "seed": s, "episode_return": r[t]} for s, r in returns.items()])
    plot_curve(tmp_path / "run")
    # Seed 1 goes on straight, to 110; seed 2 counts only where it is known.
    np.testing.assert_allclose(drawn[0].axes[0].lines[-1].get_ydata(), [50, (10 + 110 + 50) / 3, 70])


def test_labels_can_be_given(tmp_path, drawn):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", level=300.0)]
    plot_runs(runs, tmp_path / "both.png", labels=["uniform", "prioritised"])
    assert {text.get_text() for text in drawn[0].axes[0].texts} == {"uniform", "prioritised"}
    with pytest.raises(UserError, match="there are 1 for 2 runs"):
        plot_runs(runs, tmp_path / "both.png", labels=["uniform"])


def test_two_seeds_are_lines_without_a_band(tmp_path, drawn):
    plot_curve(make_run(tmp_path / "run", seeds=2))
    (axes,) = drawn[0].axes
    assert drawn[0]._supxlabel.get_text() == "mean of 2 seeds; thin lines: single seeds"
    assert len(axes.lines) == 3
    assert not any(len(path.vertices) for path in axes.collections[0].get_paths())
    values = np.concatenate([line.get_ydata() for line in axes.lines])
    low, high = axes.get_ylim()
    assert high - low < 1.2 * (values.max() - values.min())


def test_several_runs_have_colours_and_labels_of_their_own(tmp_path, drawn):
    first = make_run(tmp_path / "a", level=100.0)
    second = make_run(tmp_path / "b", "dqn", level=101.0)
    third = make_run(tmp_path / "c", "dqn", evaluate=False, level=400.0)
    path = plot_runs([first, second, third], tmp_path / "out" / "both.png")
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "CartPole-v1"
    assert axes.get_ylabel() == "episode return", "not all of them have evaluations"
    assert [t.get_text() for t in axes.texts] == ["ppo", "dqn b", "dqn c"]
    colours = colours_of(path)
    assert all(as_rgb(c) in colours for c in plots.COLOURS[:3])
    boxes = [t.get_window_extent() for t in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    figure_box = drawn[0].bbox
    assert all(figure_box.x0 <= b.x0 and b.x1 <= figure_box.x1 for b in boxes)


def test_many_runs_get_a_legend(tmp_path, drawn):
    for i in range(12):
        make_run(tmp_path / f"run_{i:02}", intervals=2)
    plot_runs(tmp_path, tmp_path / "all.svg", metric="loss")
    assert len(drawn[0].legends[0].get_texts()) == 12 and not drawn[0].axes[0].texts
    assert (tmp_path / "all.svg").read_text().startswith("<?xml")


def test_finds_runs_by_folder_pattern_and_prefix(tmp_path, monkeypatch):
    for name in ("ppo_1", "ppo_2", "dqn_1", "deep/er/run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.csv").write_text("steps,seed\n")
    names = lambda *patterns: [str(p.relative_to(tmp_path)) for p in find_runs([tmp_path / p for p in patterns])]
    assert names("ppo_1") == ["ppo_1"]
    assert names("ppo") == names("ppo_*") == ["ppo_1", "ppo_2"]
    assert names("*_1", "ppo_1") == ["dqn_1", "ppo_1"]
    assert names("deep") == ["deep/er/run"]
    assert names(".") == ["deep/er/run", "dqn_1", "ppo_1", "ppo_2"]
    for pattern, message in [("sac", "no such folder"), ("deep/e*/nothing", "no such folder")]:
        with pytest.raises(UserError, match=f"not the folder of a run: there is {message}"):
            names(pattern)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"there is no metrics.csv in it"):
        names("empty")
    with pytest.raises(UserError, match="at least one"):
        find_runs([])


def test_smoothing_averages_neighbours(tmp_path, drawn):
    logger = CSVLogger(tmp_path / "run" / "metrics.csv")
    for t, value in enumerate([0.0, 3.0, 6.0, 0.0]):
        logger.write([{"steps": t, "seed": 0, "episode_return": value}])
    plot_runs(tmp_path / "run", tmp_path / "smooth.png", smooth=3)
    np.testing.assert_allclose(drawn[0].axes[0].lines[-1].get_ydata(), [1.5, 3, 3, 3])
    assert "running mean of 3 points" in drawn[0]._supxlabel.get_text()


def test_what_cannot_be_drawn_is_one_sentence(tmp_path):
    run = make_run(tmp_path / "run")
    for metric, message in [
        ("eval_retrun", "did you mean 'eval_return'"),
        ("xyz", "choose one of episode_return, loss"),
    ]:
        with pytest.raises(UserError, match=message):
            plot_runs(run, tmp_path / "x.png", metric=metric)
    with pytest.raises(UserError, match=r"must end in .png, .pdf, .svg"):
        plot_runs(run, tmp_path / "x.jpeg")
    with pytest.raises(UserError, match="smooth=0"):
        plot_runs(run, tmp_path / "x.png", smooth=0)
    with pytest.raises(UserError, match="cannot write .*Not a directory|File exists"):
        plot_runs(run, run / "config.yaml" / "x.png")
    for text in ("", "steps,seed,episode_return\n"):
        (run / "metrics.csv").write_text(text)
        with pytest.raises(UserError, match="is empty: the run has not reported anything yet"):
            plot_curve(run)
    (run / "metrics.csv").write_text("steps,seed,episode_return\n1,0,\n")
    with pytest.raises(UserError, match="'episode_return': has no value yet"):
        plot_curve(run)
    with pytest.raises(UserError, match="table is empty"):
        plot_sweep([], tmp_path / "x.png")
    assert not list(tmp_path.glob("*x.*"))


def test_a_sweep_of_one_number_is_a_curve_with_its_best_marked(tmp_path, drawn):
    table = [
        {"learning_rate": rate, "final_return": [mean - 1, mean, mean + 1]}
        for rate, mean in [(1e-2, 50), (1e-4, 100), (1e-3, 450)]
    ]
    plot_sweep(table, tmp_path / "sweep.png", "ppo on CartPole-v1")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "learning_rate"
    *_, line, star = axes.lines
    np.testing.assert_allclose(line.get_xdata(), [1e-4, 1e-3, 1e-2])
    np.testing.assert_allclose(line.get_ydata(), [100, 450, 50])
    assert (star.get_marker(), star.get_xdata()[0], star.get_ydata()[0]) == ("*", 1e-3, 450)
    caption = drawn[0]._supxlabel.get_text()
    # 4.302653 / sqrt(3) = 2.48.
    assert "best: learning_rate = 0.001, with a final return of 450 ± 2.5" in caption and "3 seeds" in caption
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.0001", "0.001", "0.01"]

    plot_sweep([{"gae_lambda": x, "final_return": [x]} for x in (0.9, 0.95, 1.0)], tmp_path / "linear.png")
    assert drawn[1].axes[0].get_xscale() == "linear" and "one seed" in drawn[1]._supxlabel.get_text()


def test_a_sweep_of_two_is_a_map_with_its_best_marked(tmp_path, drawn):
    table = [
        {
            "clip": clip,
            "learning_rate": rate,
            "final_return": [100 * clip - abs(rate - 2), np.nan if rate == 3 else 0.0],
        }
        for clip in (0.3, 0.1, 0.2)
        for rate in (1, 2, 3)
        if (clip, rate) != (0.1, 1)
    ]
    plot_sweep(table, tmp_path / "sweep.png")
    axes = drawn[0].axes[0]
    image = axes.images[0].get_array()
    # Rows: clip 0.1, 0.2, 0.3; columns: rate 1, 2, 3. Missing: the one that was not run, and those that diverged.
    np.testing.assert_array_equal(image.mask, [[True, False, True], [False, False, True], [False, False, True]])
    np.testing.assert_allclose(image[2, :2], [14.5, 15.0])
    assert [t.get_text() for t in axes.texts].count("not finite") == 3
    assert [t.get_text() for t in axes.texts if "★" in t.get_text()] == ["★ 15"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("clip", "learning_rate")
    assert "best: clip = 0.3, learning_rate = 2" in drawn[0]._supxlabel.get_text()


def test_a_sweep_of_words_or_of_many_axes_can_be_drawn(tmp_path, drawn):
    plot_sweep([{"torso": t, "final_return": [i, i + 1.0]} for i, t in enumerate("ab")], tmp_path / "words.png")
    assert [t.get_text() for t in drawn[0].axes[0].get_xticklabels()] == ["a", "b"]
    table = [
        {"a": a, "b": b, "c": c, "same": (64, 64), "final_return": [a * 100 + b * 10 + c]}
        for a in range(3)
        for b in range(3)
        for c in range(3)
    ]
    plot_sweep(table, tmp_path / "many.png")
    labels = [t.get_text() for t in drawn[1].axes[0].get_yticklabels()]
    assert labels[:2] == ["a=2, b=2, c=2", "a=2, b=2, c=1"] and len(labels) == 20
    plot_sweep([{"a": 1, "final_return": [np.nan]}, {"a": 2, "final_return": [np.nan]}], tmp_path / "nan.png")
    assert "no setting has a finite return" in drawn[2]._supxlabel.get_text()
    plot_sweep([{"a": 1, "final_return": [3.0]}], tmp_path / "one.png")


def test_drawing_leaves_pyplot_alone(tmp_path):
    make_run(tmp_path / "run", intervals=2)
    program = f"""
import sys
from jaxrl.experiment import plots
assert "matplotlib" not in sys.modules
plots.plot_curve({str(tmp_path / "run")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
