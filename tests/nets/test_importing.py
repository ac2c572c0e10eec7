"""Modules that `import nets` does not import, as they take time."""

import pathlib
import subprocess
import sys

import nets

SLOW = (
    *("absl", "flax", "joblib", "matplotlib", "optax", "orbax", "scipy", "sklearn"),
    *("tensorboardX", "torch", "tqdm"),
)
LIST = "import sys, nets; print(*sorted({m.partition('.')[0] for m in sys.modules}))"


def test_importing_nets_does_not_import_slow_packages():
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=pathlib.Path(nets.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    names = done.stdout.split()
    assert "jax" in names
    assert not set(SLOW) & set(names)
