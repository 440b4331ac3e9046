"""Make the pictures of the quick start anew: ``python docs/pictures.py``, some minutes on two cores.

It runs the commands that the page shows, in a folder of its own, and copies what they draw to ``docs/pictures``. The
pictures of the algorithms' pages are those of ``benchmarks/results`` (``benchmarks/learning.py``, ``atari.py``).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = Path(__file__).parent / "pictures"
COMMANDS = (
    "train ppo --env CartPole-v1 --total-steps 500000 --num-seeds 4 --out runs/first --no-progress",
    "train ppo --env Pendulum-v1 --num-seeds 4 --out runs/pendulum --no-progress",
    "play runs/first --out play.gif --max-steps 200",
    "plot runs/first runs/pendulum --out both.png",
    "sweep ppo --env CartPole-v1 --grid learning_rate=1e-4,1e-3,1e-2 --seeds 4 --total-steps 100000 --out runs/sweep",
)
MADE = {"runs/first/curve.png": "curve.png", "play.gif": "play.gif", "both.png": "both.png"}
MADE |= {"runs/sweep/sweep.png": "sweep.png"}


def main() -> None:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            print(f"jaxrl {command}", flush=True)
            words = [sys.executable, "-m", "jaxrl", *command.split()]
            subprocess.run(words, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True)
        PICTURES.mkdir(exist_ok=True)
        for made, name in MADE.items():
            shutil.copy(Path(folder) / made, PICTURES / name)


if __name__ == "__main__":
    main()
