import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment import figures, plots, sweep_plots
from jaxrl.experiment.errors import UserError
from jaxrl.experiment.figures import COLOURS, bootstrap, lines_of
from jaxrl.experiment.loggers import CSVLogger
from jaxrl.experiment.plots import find_runs, plot_curve, plot_runs
from jaxrl.experiment.sweep_plots import plot_sweep


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
    kept = []

    def keep(figure, output):
        kept.append(figure)
        return figures.save(figure, output)

    for module in (plots, sweep_plots):
        monkeypatch.setattr(module, "save", keep)
    return kept


def colours_of(path):
    with Image.open(path) as image:
        return {c for _, c in image.convert("RGB").getcolors(10**6)}


def as_rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def quantiles(values):
    """Of the means of all resamples: the least such that 2.5 %, and 97.5 %, are no larger."""
    means = sorted(np.mean(chosen) for chosen in itertools.product(values, repeat=len(values)))
    return [next(m for i, m in enumerate(means, 1) if i >= q * len(means)) for q in (0.025, 0.975)]


@pytest.mark.parametrize(
    "values", [[3.0], [1.0, 5.0], [1.0, 2.0, 6.0], [0.0, 0.0, 0.0, 500.0], [1.0, 2.0, 4.0, 8.0, 16.0]]
)
def test_an_interval_has_the_quantiles_of_all_resamples(values):
    mean, low, high = bootstrap(np.array(values))
    assert mean == pytest.approx(np.mean(values))
    np.testing.assert_allclose([low, high], quantiles(values))


def test_an_interval_of_many_seeds_is_that_of_the_normal_distribution():
    # The mean of 400 seeds with deviation 10 deviates by 0.5; 1.96 of these to each side.
    values = np.random.default_rng(1).normal(size=(400, 3))
    values = 50 + 10 * (values - values.mean(axis=0)) / values.std(axis=0)
    mean, low, high = bootstrap(values)
    np.testing.assert_allclose(mean, 50)
    np.testing.assert_allclose([50 - low, high - 50], 0.98, rtol=0.08)
    np.testing.assert_array_equal(bootstrap(values), (mean, low, high))


def test_an_interval_takes_the_seeds_that_have_a_value():
    mean, low, high = bootstrap(np.array([[1.0, np.nan, np.nan], [2.0, np.nan, 4.0], [6.0, np.nan, 4.0]]))
    np.testing.assert_allclose(mean, [3, np.nan, 4])
    np.testing.assert_allclose([low[2], high[2]], [4, 4])
    assert np.isnan(low[1]) and np.isnan(high[1])


def test_a_band_never_leaves_the_seeds_returns(tmp_path, drawn):
    """Student's t drew bands up to 607 on CartPole, where no return is above 500."""
    logger = CSVLogger(tmp_path / "run" / "metrics.csv")
    returns = np.array([[500.0, 500.0, 500.0, 61.0], [20.0, 500.0, 500.0, 9.0], [500.0] * 4])
    for t, row in enumerate(returns):
        logger.write([{"steps": t, "seed": s, "eval_return": r} for s, r in enumerate(row)])
    plot_curve(tmp_path / "run")
    vertices = drawn[0].axes[0].collections[0].get_paths()[0].vertices
    for t, row in enumerate(returns):
        band = vertices[vertices[:, 0] == t, 1]
        assert row.min() <= band.min() <= row.mean() <= band.max() <= row.max() <= 500


def test_a_curve_shows_the_evaluations_of_a_run(tmp_path, drawn):
    path = plot_curve(make_run(tmp_path / "run"))
    assert path == tmp_path / "run" / "curve.png"
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "ppo on CartPole-v1"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("environment steps", "evaluation return")
    assert "mean of 3 seeds; band: 95 % bootstrap interval over the seeds" in drawn[0]._supxlabel.get_text()
    *single, mean = axes.lines
    assert len(single) == 3
    np.testing.assert_array_equal(mean.get_xdata(), [200, 400, 600])
    np.testing.assert_allclose(mean.get_ydata(), [141, 181, 221])
    # Of the 27 resamples of three seeds one is all highest: 3.7 %, more than the 2.5 % that the band leaves out.
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (140, 222)
    with Image.open(path) as image:
        assert image.size == (1200, 720)
    assert as_rgb(COLOURS[0]) in colours_of(path)
    assert sorted(os.listdir(tmp_path / "run")) == ["config.yaml", "curve.png", "metrics.csv"]


def test_a_run_without_evaluations_or_settings_can_be_drawn_too(tmp_path, drawn):
    run = make_run(tmp_path / "plain", seeds=1, evaluate=False)
    (run / "config.yaml").unlink()
    plot_curve(run)
    (axes,) = drawn[0].axes
    assert axes.get_ylabel() == "episode return" and axes.get_title(loc="left") == "plain"
    assert drawn[0]._supxlabel.get_text().splitlines()[0] == "one seed"
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
    assert drawn[0]._supxlabel.get_text().splitlines()[0] == "mean of 2 seeds; thin lines: single seeds"
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
    colours = {line.get_color() for line in axes.lines}
    assert len(colours) == 3 and {as_rgb(colour) for colour in colours} <= colours_of(path)
    boxes = [t.get_window_extent() for t in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    figure_box = drawn[0].bbox
    assert all(figure_box.x0 <= b.x0 and b.x1 <= figure_box.x1 for b in boxes)


def test_each_environment_has_a_panel(tmp_path, drawn):
    first = make_run(tmp_path / "first")
    other = make_run(tmp_path / "pendulum", env="Pendulum-v1", level=-900.0)
    dqn = make_run(tmp_path / "dqn", "dqn")
    plot_runs([first, other, dqn], tmp_path / "both.png")
    left, right = drawn[0].axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["CartPole-v1", "ppo on Pendulum-v1"]
    means = lambda axes: [line for line in axes.lines if line.get_linewidth() == 2]
    assert [len(means(axes)) for axes in (left, right)] == [2, 1]
    assert max(means(right)[0].get_ydata()) < 0 < min(means(left)[0].get_ydata())
    assert [text.get_text() for text in left.texts] == ["ppo", "dqn"] and not right.texts
    # An algorithm has one colour in all panels.
    assert means(left)[0].get_color() == means(right)[0].get_color() != means(left)[1].get_color()


def test_a_run_keeps_its_colour(tmp_path, drawn):
    runs = {name: make_run(tmp_path / name, name) for name in ("ppo", "dqn", "sac")}
    again = make_run(tmp_path / "again", "dqn")
    pictures = [["ppo"], ["dqn"], ["dqn", "ppo"], ["sac", "dqn", "ppo"]]
    for i, names in enumerate(pictures):
        plot_runs([runs[n] for n in names], tmp_path / f"{i}.png")
    found = {}
    for names, figure in zip(pictures, drawn, strict=True):
        colours = [line.get_color() for line in figure.axes[0].lines if line.get_linewidth() == 2]
        for name, colour in zip(names, colours, strict=True):
            assert found.setdefault(name, colour) == colour
    assert len(set(found.values())) == 3
    # Of one algorithm twice, each run's name has a colour, in any order.
    for order in ([runs["dqn"], again], [again, runs["dqn"]]):
        plot_runs(order, tmp_path / "x.png")
    colours = [[line.get_color() for line in f.axes[0].lines if line.get_linewidth() == 2] for f in drawn[-2:]]
    assert colours[0] == colours[1][::-1]


def test_dashes_tell_lines_of_one_panel_apart(tmp_path, drawn):
    runs = [make_run(tmp_path / a, a, env=env) for a, env in (("ppo", "A-v0"), ("c51", "A-v0"), ("tqc", "B-v0"))]
    plot_runs(runs, tmp_path / "x.png")
    styles = [[line.get_linestyle() for line in axes.lines if line.get_linewidth() == 2] for axes in drawn[0].axes]
    assert styles == [["-", "--"], ["-"]]


def test_a_run_that_has_just_begun_can_be_drawn(tmp_path, drawn):
    CSVLogger(tmp_path / "run" / "metrics.csv").write([{"steps": 0, "seed": 0, "eval_return": 20.0}])
    plot_curve(tmp_path / "run")
    drawn[0].draw_without_rendering()
    assert [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()] == ["0", "1"]


def test_lines_of_one_colour_have_other_dashes():
    # Algorithms of the list's places 0, 10 and 20.
    lines = lines_of(["ppo", "c51", "tqc", "dqn"])
    assert lines["ppo"].colour == lines["c51"].colour == lines["tqc"].colour != lines["dqn"].colour
    assert len({line.style for line in lines.values()}) == 3 and lines["ppo"].style == lines["dqn"].style == "-"
    assert set(figures.PALETTE) == set(ALGORITHMS)


def test_a_label_stands_where_its_line_ends(tmp_path, drawn):
    make_run(tmp_path / "long", "ppo", level=100.0, intervals=12)
    make_run(tmp_path / "short", "dqn", level=300.0, intervals=4)
    plot_runs([tmp_path / "long", tmp_path / "short"], tmp_path / "both.png")
    (axes,) = drawn[0].axes
    where = {text.get_text(): axes.transAxes.transform(text.get_position()) for text in axes.texts}
    for name, end in {"ppo": (1200, 341), "dqn": (400, 381)}.items():
        x, y = where[name] - axes.transData.transform(end)
        assert 0 < x < 25 and abs(y) < 5, name
    # Those that would overlap are moved apart.
    for i in range(4):
        make_run(tmp_path / "near" / f"run_{i}", level=100.0 + i, intervals=4 if i % 2 else 12)
    plot_runs(tmp_path / "near", tmp_path / "near.png")
    boxes = [text.get_window_extent() for text in drawn[1].axes[0].texts]
    assert len(boxes) == 4 and not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_an_axis_that_magnifies_says_so(tmp_path, drawn):
    plot_curve(make_run(tmp_path / "high", level=1000.0))
    plot_curve(make_run(tmp_path / "low", level=0.0))
    plot_curve(make_run(tmp_path / "negative", level=-1000.0))
    captions = [figure._supxlabel.get_text() for figure in drawn]
    assert "The y axis shows only 1,0" in captions[0] and "without 0, which magnifies differences" in captions[0]
    assert "y axis" not in captions[1] and "The y axis shows only -" in captions[2]
    plot_sweep([{"a": a, "final_return": [900.0 + a]} for a in (1, 2)], tmp_path / "sweep.png")
    assert "The y axis shows only 90" in drawn[3]._supxlabel.get_text()
    plot_runs([tmp_path / "high", make_run(tmp_path / "other", env="Other-v0", level=0.0)], tmp_path / "both.png")
    assert drawn[4]._supxlabel.get_text().count("The y axis of ppo on CartPole-v1 shows only") == 1


def test_many_runs_get_a_legend(tmp_path, drawn):
    for i in range(12):
        make_run(tmp_path / f"run_{i:02}", intervals=2)
    plot_runs(tmp_path, tmp_path / "all.svg", metric="loss")
    (axes,) = drawn[0].axes
    assert len(axes.get_legend().get_texts()) == 12 and not axes.texts
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
    assert "best: learning_rate = 0.001, with a final return of 450 (449 to 451)" in caption
    assert "means over 3 seeds with 95 % bootstrap intervals over the seeds" in caption
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
from jaxrl.experiment import figures, plots, sweep_plots
assert "matplotlib" not in sys.modules
plots.plot_curve({str(tmp_path / "run")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
