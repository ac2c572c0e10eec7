"""Settings of every test: compilation, warnings of JAX, the markers' summary."""

import functools
import gc
import importlib.metadata
import importlib.util
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "jax")


# Most of the time goes into compiling: what was compiled once is kept for the user, as
# the experiments keep it, so that a new clone is tested in a fraction of the time.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        / "backflow"
        / "tests"
    ),
)

# Tests compile much and compute little: the optimizer is off, so that programs compile
# in a seventh of the time and run slowly. Commands that tests start inherit this. What
# is compared with other libraries is compiled with XLA's defaults, as users compile it:
# `optimized_jit` in tests/nets/side_by_side.py.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1 "
    "--xla_llvm_disable_expensive_passes=true"
    # XLA refuses flags that it does not know, as later versions do this one.
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith("0.10."),
)
# Also what compiles in milliseconds is kept: it is found again in half of that time, by
# the other tests of the run and by the commands that they start.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Programs carry no lines of code, which nobody reads and which take a twentieth of the
# time; the traceback of an error has them nevertheless.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import jax
import pytest

try:  # private modules of JAX, which only make the tests faster
    from jax._src.interpreters import mlir
except ImportError:
    mlir = None
try:
    from jax._src.core import stage_p
except ImportError:
    stage_p = None


jax.config.update("jax_numpy_rank_promotion", "raise")

# `jnp.asarray` of a NumPy array compiles a program for each shape, which copies it.
if stage_p is not None:
    stage_p.def_impl(functools.partial(jax.device_put, may_alias=False))

# Programs being traced make objects by the million, nearly none of which is in a cycle:
# to look for cycles among them all, again and again, takes a tenth of the time.
gc.set_threshold(200_000, 50, 1000)


@pytest.fixture(scope="module", autouse=True)
def one_mlir_context():
    """One context of MLIR for the tests of a file.

    JAX makes a context for each program that it lowers, which takes 4 ms: as long as
    lowering one operation. It is freed after the file, with the programs' constants.
    """
    with pytest.MonkeyPatch.context() as patch:
        make = getattr(mlir, "make_ir_context", None)
        if make is not None:
            patch.setattr(mlir, "make_ir_context", functools.cache(make))
        yield


@pytest.fixture(scope="module", autouse=True)
def bound_what_is_kept():
    """Remove compiled programs when there are many, and freeze what remains.

    Linux allows a process 65,530 mappings of memory. A program takes about seven, and
    XLA crashes without a message where there is no more. Programs that are kept would
    also take `gc.collect` seconds to visit.
    """
    if _mappings() > 20_000:
        jax.clear_caches()
        gc.unfreeze()
        gc.collect()
    gc.freeze()


def _mappings() -> int:
    """Number of memory mappings of this process; 0 where no list of them exists."""
    try:
        with open("/proc/self/maps", "rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


@pytest.fixture
def x64():
    """Float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow all but the first case of each parametrized test.

    So `pytest -m "not slow"` has one case of every fact that is quickly tested. The
    examples of the instruments are slow too: their programs are the largest.
    """
    functions = set()
    for item in items:
        function = item.nodeid.partition("[")[0]
        if function in functions or function.startswith("nets/flow/"):
            item.add_marker("slow")
        functions.add(function)


def pytest_terminal_summary(terminalreporter):
    """Report that the comparisons with PyTorch were skipped, and how to run them."""
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line(
            "PyTorch is not installed: the comparisons with it were skipped. "
            "To run them: pip install -e '.[peers]'"
        )
