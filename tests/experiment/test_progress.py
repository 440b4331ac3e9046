import io
import math
import time

import pytest
from rich.console import Console

from jaxrl.experiment import progress as module
from jaxrl.experiment.progress import Progress, _brief, _duration, _number
from jaxrl.training.compile_clock import CompileClock


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def plain(width=80):
    return Console(file=io.StringIO(), width=width)


def terminal(width=80):
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def test_speed_leaves_out_the_first_interval_and_what_is_long_ago():
    clock = Clock()
    with Progress(10_000, initial_steps=1000, console=plain(), clock=clock) as progress:
        assert math.isnan(progress.speed) and math.isnan(progress.seconds_left)
        clock.now += 20
        progress.update(2000)
        assert progress.speed == pytest.approx(1000 / 20)
        clock.now += 2
        progress.update(4000)
        assert progress.speed == pytest.approx(2000 / 2)
        assert progress.seconds_left == pytest.approx(6000 / 1000)
        for _ in range(4):
            clock.now += 20
            progress.update(progress.steps + 200)
        # Points lie 20 s apart: three of them span the last 30 s.
        assert progress.speed == pytest.approx(200 / 20)


def test_rates_and_the_time_left_never_count_compilation():
    clock = Clock()
    compilation = CompileClock(clock)
    with Progress(10_000, console=plain(), clock=clock, compile_clock=compilation) as progress:
        with compilation:
            clock.now += 50
            assert progress.status == "compiling ... 50 s" and math.isnan(progress.speed)
        clock.now += 4
        assert progress.status == "running ... 4 s"
        progress.update(2000)
        # Of 54 seconds 50 were compilation.
        assert progress.speed == pytest.approx(2000 / 4) and progress.seconds_left == pytest.approx(8000 / 500)
        assert progress.status == "0:16 left"
        # A second program, such as the evaluation's, is compiled between two intervals.
        with compilation:
            clock.now += 7
            assert progress.status == "compiling ... 7 s"
            assert progress.speed == pytest.approx(2000 / 4), "the rate falls while it compiles"
        clock.now += 4
        progress.update(4000)
        assert progress.speed == pytest.approx(2000 / 4) and progress.seconds_left == pytest.approx(6000 / 500)


def test_what_came_before_the_first_interval_is_no_part_of_a_rate():
    clock = Clock()
    with Progress(10_000, console=plain(), clock=clock) as progress:
        clock.now += 30  # simulators start, a buffer is prefilled, the untrained policy is evaluated
        progress.start(1000)
        clock.now += 4
        assert progress.status == "running ... 4 s"
        progress.update(3000)
        assert progress.speed == pytest.approx(2000 / 4) and progress.seconds_left == pytest.approx(7000 / 500)


def test_says_that_it_compiles_with_the_seconds_until_the_first_interval_is_done():
    clock, console = Clock(), terminal()
    compilation = CompileClock(clock)
    with Progress(10_000, description="ppo", console=console, clock=clock, compile_clock=compilation), compilation:
        clock.now += 12
        console.file.truncate(0)
        time.sleep(2.0 / module.REFRESHES_PER_SECOND)
        assert "compiling ... 12 s" in console.file.getvalue()

    class Closed:
        """Stands for the event that ends the thread: three waits, the last of which says that it is over."""

        def __init__(self):
            self.waits = []

        def wait(self, seconds):
            self.waits.append(seconds)
            clock.now += seconds
            return len(self.waits) == 3

        def set(self):
            pass

    console, progress = plain(), Progress(10_000, description="ppo", console=plain(), clock=clock)
    progress._console, progress._closed, progress._compile_clock = console, Closed(), CompileClock(clock)
    with progress._compile_clock:
        progress._print_compiling()
    assert console.file.getvalue().splitlines() == ["ppo: compiling ... 1 s", "ppo: compiling ... 11 s"]
    assert progress._closed.waits == [1.0, module.SECONDS_BETWEEN_LINES, module.SECONDS_BETWEEN_LINES]


def test_writes_a_plain_line_now_and_then_when_it_is_no_terminal():
    clock, console = Clock(), plain()
    with Progress(10_000, description="ppo Pendulum-v1", num_seeds=4, console=console, clock=clock) as progress:
        for i in range(1, 26):
            clock.now += 1
            progress.update(i * 400, episode_return=-1200.0 + i, loss=0.125 if i == 1 else math.nan)
    lines = console.file.getvalue().splitlines()
    assert lines == [
        "ppo Pendulum-v1: 400 of 10,000 steps (4%), 1.60k steps/s, 0:24 left, return -1199, loss 0.125",
        "ppo Pendulum-v1: 4,400 of 10,000 steps (44%), 1.60k steps/s, 0:14 left, return -1189, loss 0.125",
        "ppo Pendulum-v1: 8,400 of 10,000 steps (84%), 1.60k steps/s, 0:04 left, return -1179, loss 0.125",
        "ppo Pendulum-v1: 10,000 of 10,000 steps (100%), 1.60k steps/s, 0:00 left, return -1175, loss 0.125",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_draws_everything_on_a_terminal_of_any_usual_width(width):
    console = terminal(width)
    with Progress(500_000, description="ppo CartPole-v1", console=console) as progress:
        progress.update(225_280, episode_return=312.432, loss=-0.0123)
    drawn = console.file.getvalue()
    for part in ("ppo CartPole-v1", "45%", "225k/500k steps", "steps/s", " left", "return 312.4", "loss -0.0123"):
        assert part in drawn
    assert "…" not in drawn


def test_what_is_printed_meanwhile_appears_and_an_error_passes_through():
    console = terminal()
    with pytest.raises(ZeroDivisionError), Progress(10, console=console) as progress:
        print("a line between")
        progress.update(1 // 0)
    assert "a line between" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[?25h"), "the cursor must come back"


def test_shows_nothing_when_disabled(capsys):
    with Progress(10, enabled=False) as progress:
        progress.update(5, 1.0, 1.0)
    with Progress(10):
        pass
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_an_update_costs_less_than_50_microseconds():
    with Progress(10**9, console=terminal()) as progress:
        costs = []
        for _ in range(5):
            start = time.perf_counter()
            for i in range(1000):
                progress.update(i, 1.0, 2.0)
            costs.append((time.perf_counter() - start) / 1000)
    assert min(costs) < 50e-6


def test_numbers_are_short():
    assert [_brief(x) for x in (0, 999, 999.6, 9_999, 12_345, 999_600, 1e6, 2.5e9, math.nan)] == [
        "0", "999", "1.00k", "10.0k", "12.3k", "1.00M", "1.00M", "2.50G", "-",
    ]  # fmt: skip
    assert [_duration(x) for x in (0, 59.6, 3725, math.nan, math.inf)] == ["0:00", "1:00", "1:02:05", "-", "-"]
    assert [_number(x) for x in (0.0, -21.0, 123456.7, 1e-7, math.nan)] == ["0", "-21", "123,457", "1e-07", "-"]
