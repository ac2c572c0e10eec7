"""The command `backflow`: an experiment by its name, or the list of all.

    backflow gradient_flow --cells=elman,lstm

It is `python -m experiments.gradient_flow --cells=elman,lstm`, which does not look for
modules in the working folder before it has looked everywhere else.
"""

import importlib.metadata
import runpy
import sys

from experiments.harness import process, streams


def main() -> None:
    """Run the experiment that the first word names."""
    name, *flags = sys.argv[1:] or ["--help"]
    process.begin("experiments")
    with streams.forgiving():
        answer(name, flags)


def answer(name: str, flags: list[str]) -> None:
    """Run an experiment, list all experiments, or refuse the word.

    Args:
        name: The first word.
        flags: The words after it.
    """
    if name in ("--help", "-h", "-help", "help"):
        print(listed())
    elif name in ("--version", "-version"):
        print(f"backflow {importlib.metadata.version('backflow')}")
    elif name.startswith("-"):
        process.leave(
            "backflow", f"expected the name of an experiment first; got {name!r}", 2
        )
    else:
        sys.argv[1:] = flags
        process.begin(f"experiments.{name}")
        runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


def listed() -> str:
    """Every experiment, and the question that it asks.

    Returns:
        Lines.

    Example:
        >>> "backflow NAME --help" in listed()
        True
    """
    found = process.experiments()
    width = max(map(len, found))
    return "\n".join(
        [
            "Usage: backflow NAME --flag=value ..., or python -m experiments.NAME ...",
            "",
            *(f"  {name:{width}}  {question}" for name, question in found.items()),
            "",
            "The flags of each: backflow NAME --help. The version: backflow --version.",
        ]
    )


if __name__ == "__main__":
    main()
