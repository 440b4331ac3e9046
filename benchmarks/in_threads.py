"""Train with a thread of the host for each worker: ``python benchmarks/in_threads.py a3c --env CartPole-v1 ...``.

``jaxrl.training.train_in_threads``, seed by seed, with the settings that ``jaxrl train`` would take, and such a
``summary.json`` and ``config.yaml`` as it would leave.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from jaxrl.experiment import folder
from jaxrl.experiment import settings as run_settings
from jaxrl.training import train_in_threads


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("algorithm")
    parser.add_argument("--env", required=True)
    parser.add_argument("--total-steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()

    env_id, env = run_settings.named_env(a.env, None, a.algorithm, None)
    settings = run_settings.make_settings(a.algorithm, env_id, a.total_steps, seed=a.seed, num_seeds=a.num_seeds)
    built = run_settings.build(settings, env)
    directory = folder.create(a.out)
    run_settings.save(settings, directory)
    started, returns, staleness = time.perf_counter(), [], []
    for seed in settings.seeds:
        result = train_in_threads(
            built.agent, built.env, a.total_steps, seed=seed, hp=built.hp,
            reward_transform=run_settings.reward_transform(settings),
        )  # fmt: skip
        returns.append(float(np.mean(result.evaluation.episode_return)))
        staleness.append(float(result.staleness.mean()))
        print(f"seed {seed}: return {returns[-1]:.1f}, staleness {staleness[-1]:.2f}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - started
    summary = {
        "algorithm": a.algorithm,
        "env": a.env,
        "total_steps": a.total_steps,
        "num_seeds": a.num_seeds,
        "final_return": returns,
        "staleness": staleness,
        "wall_seconds": round(seconds, 3),
        # Compiled within each seed's run.
        "compile_seconds": 0.0,
        "steps_per_second": round(a.total_steps * a.num_seeds / seconds, 1),
        "versions": folder.versions(),
        "device": folder.device(),
    }
    folder.write_json(directory / folder.SUMMARY, summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
