"""Bad inputs, generated: ``python tests/robustness/bad_inputs.py --cases 400 --seed 0``.

Options, configuration files, tables, summaries and environments that cannot be. Each is given to the command line,
and must
end in one sentence with exit status 2, within two seconds of the processor, without a traceback,
and with nothing written
over. Whatever is accepted after all must end well.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import forked
import odd_environments
from damaging import DAMAGES

SECONDS = 8.0
"""Of the processor, for an answer: two, and what JAX takes to start in a process that was forked, on a busy machine."""
OCCUPIED = "occupied"
"""A folder with a file in it: a run that is accepted ends there, before it trains."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A command that should be refused."""

    kind: str
    argv: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda folder: None
    """Puts files into the folder in which the command runs."""
    allowed: tuple[int, ...] = (2,)
    """Exit statuses that are right."""
    limit: float | None = SECONDS


NUMBERS = (
    "", " ", "nan", "-1", "1.5", "1e400", "-1e9", "0x10", "true", "none", "abc", "é", "1,2", "(1", "[", "{}", "1 2",
    "1e", "--",
    "9" * 30, "9" * 5000, "1/2", "lambda: 0", "'", '"', "\\", "a\nb", "%s", "{0}", "1_000_", "🤖",
    "__import__('os').abort()",
)  # fmt: skip
HP_VALUES = (
    *NUMBERS, "linear(", "linear(1)", "linear(1, 2)", "linear(1e-3, 0, fraction=2)", "linear(1, 0, steps=-5)",
    "piecewise([])", "piecewise([(0, 1), (0, 2)])", "piecewise([(1, 2, 3)])", "linear(1, 0, fraction=0.5, steps=3)",
    "linear('a', 0, steps=1)", "cosine(1, 0)", "linear(nan, 0, steps=9)", "linear(1, 0, steps=nan)", "inf", "-inf",
    "linear(1e999, 0, steps=1)", "linear(*[1, 2], steps=3)", "((((((((((", "piecewise(" + "(" * 200 + ")" * 200 + ")",
)  # fmt: skip
NAMES = (
    "", " ", "ppp", "PPO ", "CartPole", "cartpole-v9", "gymnasium:", ":x", "a:b:c", "os:system", "sys:exit",
    "no_module:make",
    "gymnax:Nothing-v0", "atari:Nothing", "brax:nothing", "../x", "x" * 3000, "é", "gymnasium:os:system",
    "builtins:eval",
    "gymnasium:gymnasium.envs:None", "json:loads", "subprocess:run", "math:pi", "jaxrl:train", "jaxrl.envs:make",
    "numpy:zeros",
    "jaxrl:__version__", "./x.py:make", "1:2", "a b:c", "..:x", ".:x", "a.:x", "CartPole-v1:", "🤖", "a\nb", "-v0",
)  # fmt: skip
SIZES = ("1000000000", "1e9", "1e12", "1e18", "9223372036854775807", "9223372036854775808", "1e30")
ENV = ("--env", "gymnax:CartPole-v1")
TRAIN = ("train", "ppo", *ENV, "--total-steps", "1000", "--out", OCCUPIED)


def option_cases(rng: random.Random) -> Iterator[Case]:
    """Options of ``train``, ``sweep``, ``eval``, ``play``, ``plot`` and ``list``."""
    integers = ("total-steps", "seed", "num-seeds", "num-intervals", "num-evaluations", "num-checkpoints")
    floats = ("reward-scale", "reward-clip", "reward-shift", "stop-at-return")
    while True:
        option = rng.choice([*integers, "eval-episodes", *integers, *floats])
        value = rng.choice(NUMBERS)
        yield Case("option", (*TRAIN, f"--{option}={value}"))
        yield Case("name", ("train", rng.choice(NAMES) or "x", *ENV, "--total-steps", "1000", "--out", OCCUPIED))
        name = rng.choice(NAMES)
        yield Case("environment's name", ("train", "ppo", f"--env={name}", "--total-steps", "1000", "--out", OCCUPIED))
        yield Case("environment's parameter", (*TRAIN, f"--env.{rng.choice(PARAMETERS)}={rng.choice(NUMBERS)}"))
        yield Case("preset", (*TRAIN, f"--preset={rng.choice([*NAMES, 'dqn/CartPole-v1'])}"))
        yield Case("hyper-parameter", (*TRAIN, f"--hp.{rng.choice(HP)}={rng.choice(HP_VALUES)}"))
        field = rng.choice(CONFIG)
        yield Case("configuration", (*TRAIN, f"--config.{field}={rng.choice(NUMBERS)}"))
        algorithm, field, env = rng.choice(OFF_POLICY)
        argv = ("train", algorithm, "--env", env, "--total-steps", "100000", "--out", OCCUPIED)
        yield Case("configuration", (*argv, f"--config.{field}={rng.choice(NUMBERS)}"))
        yield Case("unknown option", (*TRAIN, f"--{rng.choice(UNKNOWN)}", *rng.choice([(), ("1",)])))
        yield Case("command", rng.choice(COMMANDS))
        grid = rng.choice(GRIDS)
        yield Case("grid", ("sweep", "ppo", *ENV, "--total-steps", "1000", "--out", OCCUPIED, f"--grid={grid}"))


PARAMETERS = (
    "max_steps_in_episode", "render_mode", "nothing", "id", "clip_actions", "max_episode_steps", "1", "é", "gravity",
)  # fmt: skip
HP = ("learning_rate", "clip", "discount", "nothing", "learning-rate", "max_grad_norm", "1", "é", "gae_lambda")
CONFIG = (
    "num_envs", "hidden_sizes", "rollout_length", "num_minibatches", "activation", "nothing", "num_epochs", "torso",
    "normalize_advantage", "axis_name", "actor_rnn", "é", "hidden_sizes.x",
)  # fmt: skip
SIZED = ("buffer_size", "batch_size", "prefill", "steps_per_update", "updates_per_iteration", "num_envs")
OFF_POLICY = [
    *(("dqn", field, "gymnax:CartPole-v1") for field in (*SIZED, "n_step")),
    *(("sac", field, "gymnax:Pendulum-v1") for field in (*SIZED, "critic_sizes")),
]
UNKNOWN = (
    "lr", "steps", "envs", "num_env", "hp", "config", "hp.", "config.", "env.", "out=", "seed=", "totalsteps", "é",
)  # fmt: skip
COMMANDS = (
    ("trian",), ("train",), ("train", "ppo"), ("train", *ENV), ("eval",), ("eval", "nowhere"), ("eval", "/dev/null"),
    ("play", "nowhere"), ("play", "/"), ("plot",), ("plot", "nowhere"), ("plot", "/dev/null"), ("list", "nothing"),
    ("sweep",), ("sweep", "ppo"), ("sweep", "ppo", *ENV), ("train", "--resume"), ("train", "--resume", "nowhere"),
    ("train", "--resume", "/dev/null"), ("train", "--resume", OCCUPIED), ("eval", OCCUPIED), ("plot", OCCUPIED),
    ("plot", "[", "--out", "x.png"), ("plot", OCCUPIED, "--out", "x.gif"),
    ("train", "--resume", OCCUPIED, "--out", "x"),
    ("eval", OCCUPIED, "--checkpoint", "-1"), ("eval", OCCUPIED, "--episodes", "0"), ("play", OCCUPIED, "--fps", "0"),
    ("eval", OCCUPIED, "--episodes", "x"), ("play", OCCUPIED, "--seed", "1.5"), ("eval", OCCUPIED, "--hp.clip", "1"),
    ("eval", ""), ("plot", ""), ("train", "--resume", ""), ("plot", OCCUPIED, "--smooth", "0"), ("", ), ("--",),
    ("-x",),
    ("train", "ppo", *ENV, "--total-steps", "100", "--out", f"{OCCUPIED}/file"), ("train", "ppo", "--hp.clip"),
    ("train", "ppo", *ENV, "--total-steps", "100", "--out", "/proc/x"), ("train", "ppo", *ENV, "--out", "/dev/null"),
    ("train", "ppo", *ENV, "--total-steps", "100", "--out", "x" * 300), ("eval", "x" * 300), ("plot", "x" * 5000),
)  # fmt: skip
GRIDS = (
    "", "x", "=", "learning_rate", "learning_rate=", "learning_rate=a", "nothing=1", "clip=1,x", "hidden_sizes=(8",
    "=1,2",
    "hidden_sizes=(8,8),x", "num_envs=0,1", "learning_rate=1e-3,-1", "num_envs=1e9", "clip=" + ",".join(["1"] * 5000),
    "é=1",
    "learning_rate=linear(1)", "num_envs=1.5", "hidden_sizes=((8,8))",
)  # fmt: skip


def size_cases(rng: random.Random) -> Iterator[Case]:
    """Sizes that cannot be: of memory, of time, of integers."""
    dqn = ("train", "dqn", *ENV, "--total-steps", "1e19", "--out", OCCUPIED)
    sac = ("train", "sac", "--env", "gymnax:Pendulum-v1", "--total-steps", "1e18", "--out", OCCUPIED)
    host = ("train", "ppo", "--env", "gymnasium:CartPole-v1", "--total-steps", "1e6", "--out", OCCUPIED)
    while True:
        size = rng.choice(SIZES)
        option = rng.choice(["num-seeds", "num-intervals", "eval-episodes", "seed"])
        yield Case("size of an option", (*TRAIN, "--total-steps=1e12", f"--{option}={size}"))
        field = rng.choice(["num_envs", "rollout_length", "hidden_sizes"])
        value = f"{size},{size}" if field == "hidden_sizes" else size
        yield Case("size of a configuration", (*rng.choice([TRAIN, host]), f"--config.{field}={value}"))
        field = rng.choice(SIZED)
        yield Case("size of a configuration", (*rng.choice([dqn, sac]), f"--config.{field}={size}"))
        sweep = ("sweep", "ppo", *ENV, "--total-steps", "1e6", "--out", OCCUPIED, "--grid=learning_rate=1e-3,1e-4")
        yield Case("size of a sweep", (*sweep, f"--seeds={size}"))


def folder_cases(rng: random.Random, run: Path) -> Iterator[Case]:
    """Damaged text files of a run's folder, and configurations with values that cannot be."""
    import yaml

    readers = (("eval", "run", "--episodes", "2"), ("train", "--resume", "run", "--no-progress"), ("plot", "run"))
    record = yaml.safe_load((run / "config.yaml").read_text())
    values = (
        None, [], {}, "", "x", -1, 1.5, float("nan"), float("inf"), True, 10**30, [1, [2]], {"a": 1}, {1: 2},
        "os:system", "é\x00",
        "[" * 50, 2**63, "linear(1", "9" * 5000,
    )  # fmt: skip

    def damaged(name: str, how: str, seed: int) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            shutil.copytree(run, folder / "run")
            DAMAGES[how](folder / "run" / name, random.Random(seed))

        return prepare

    def forged(text: str) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            shutil.copytree(run, folder / "run")
            (folder / "run" / "config.yaml").write_text(text)

        return prepare

    while True:
        changed = {k: dict(v) if isinstance(v, dict) else v for k, v in record.items()}
        where = rng.choice([changed, changed, changed["config"], changed["hyperparameters"]])
        where[rng.choice([*where, "nothing", 7])] = rng.choice(values)
        text = yaml.safe_dump(changed, allow_unicode=True)
        yield Case("config.yaml forged", rng.choice(readers[:2]), forged(text), (0, 2), None)
        yield Case("config.yaml forged", readers[0], forged(rng.choice(EVIL)), (2,))
        for name in ("config.yaml", "metrics.csv", "summary.json"):
            for how in rng.sample(sorted(DAMAGES), 2):
                argv = rng.choice(readers)
                yield Case(f"{name} {how}", argv, damaged(name, how, rng.randrange(2**32)), (0, 2), None)


EVIL = (
    "", "null", "[]", "x", "1", "---\n---\n", "\x00", "a: &a [*a]", "a: &a [1,1]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]",
    "[" * 3000,
    "{" * 3000, "a: " * 500, "!!python/object/apply:os.system [x]", "algorithm: ppo",
    "algorithm: ppo\nenv: 2026-13-45\ntotal_steps: 1",
    "algorithm: [ppo]\nenv: x\ntotal_steps: 1",
    "algorithm: ppo\nenv: os:system\ntotal_steps: 9\nenv_parameters: {command: x}",
    "? [1]\n: 2", "1: 2", "algorithm: ppo\nenv: CartPole-v1\ntotal_steps: 1e9", "\ufeffalgorithm: ppo", "- - - -",
    "%YAML 9.9\n---\na",
    "algorithm: ppo\nenv: gymnax:CartPole-v1\ntotal_steps: 99999999999999999999999", "x" * 400_000, "&" * 100,
    "a: !!timestamp x",
    "algorithm: ppo\nenv: gymnax:CartPole-v1\ntotal_steps: 9\nnum_seeds: 4000000000", "a: !!binary x", "a: !!set {b}",
    "a: 1\na: 2",
)  # fmt: skip


def environment_cases(rng: random.Random) -> Iterator[Case]:
    """Environments of a module that raise, return or declare what they must not."""

    def prepare(folder: Path) -> None:
        shutil.copyfile(odd_environments.__file__, folder / "odd_environments.py")
        for name, text in odd_environments.MODULES.items():
            (folder / f"{name}.py").write_text(text)

    tiny = ("--total-steps", "64", "--num-intervals", "2", "--eval-episodes", "1", "--no-progress", "--preset", "none",
            "--config.num_envs=2", "--config.rollout_length=8", "--config.num_minibatches=1", "--config.hidden_sizes=4",
            "--config.num_epochs=1", "--out", "new")  # fmt: skip
    names = [f"odd_environments:{name}" for name in odd_environments.ODD]
    names += [f"{name}:make" for name in odd_environments.MODULES]
    while True:
        rng.shuffle(names)
        for name in names:
            yield Case("environment", ("train", "ppo", f"--env={name}", *tiny), prepare, (1, 2), None)


def cases(count: int, seed: int, run: Path) -> list[Case]:
    """So many cases; those of one seed are always the same."""
    rng = random.Random(seed)
    shares = ((option_cases(rng), 0.45), (size_cases(rng), 0.12), (folder_cases(rng, run), 0.33))
    made = [next(source) for source, share in shares for _ in range(round(share * count))]
    source = environment_cases(rng)
    return made + [next(source) for _ in range(count - len(made))]


def check(case: Case, number: int, work: Path, fresh: bool = False) -> str | None:
    """Run a case; a word for what is wrong, or None. A case that went well leaves nothing behind."""
    from jaxrl.experiment.cli import main

    folder = work / f"case_{number:03}"
    (folder / OCCUPIED).mkdir(parents=True)
    (folder / OCCUPIED / "file").write_text("mine\n")
    case.prepare(folder)
    before = forked.contents(folder)
    outcome = forked.run_fresh(case.argv, folder) if fresh else forked.run_forked(lambda: main(case.argv), folder)
    trouble = outcome.trouble(case.allowed, None if fresh else case.limit)
    if trouble is None and outcome.status == 2:
        after = forked.contents(folder)
        if any(after.get(path) != checksum for path, checksum in before.items()):
            trouble = "written over"
    if trouble is not None:
        words = [word if len(word) < 80 else f"{word[:80]}..." for word in case.argv]
        print(f"{number} {case.kind}: {trouble} ({outcome.seconds:.1f} s): {words}", flush=True)
        print("    " + "\n    ".join(outcome.err.splitlines()[-6:]), flush=True)
    else:
        shutil.rmtree(folder)
        for suffix in (".out", ".err"):
            folder.with_name(folder.name + suffix).unlink(missing_ok=True)
    return trouble


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=4, help="how many of them in a process of their own, not forked")
    parser.add_argument("--only", default="", help="the kinds that begin with this")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bad_inputs_"))
    forked.tiny_run(work / "base")
    forked.prepare()
    made = cases(arguments.cases, arguments.seed, work / "base")
    fresh = set(random.Random(0).sample(range(len(made)), min(arguments.fresh, len(made))))
    counts, wrong = collections.Counter(), collections.Counter()
    for number, case in enumerate(made):
        if not case.kind.startswith(arguments.only):
            continue
        trouble = check(case, number, work, number in fresh)
        kind = case.kind.partition(" ")[0]
        counts[kind] += 1
        wrong[kind] += trouble is not None
    for kind, count in counts.items():
        print(f"{kind:20} {count:5} inputs  {wrong[kind]:3} wrong")
    print(f"{'all':20} {counts.total():5} inputs  {wrong.total():3} wrong; what went wrong is in {work}")
    return int(wrong.total() > 0)


if __name__ == "__main__":
    raise SystemExit(main())
