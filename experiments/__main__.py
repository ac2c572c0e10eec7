"""The command `backflow`: an experiment by its name, or the list of all.

    backflow gradient_flow --cells=elman,lstm

It is `python -m experiments.gradient_flow --cells=elman,lstm`, which does not look for
modules in the working folder before it has looked everywhere else.
"""

import runpy
import sys

from experiments.harness import completion, process, streams


def main() -> None:
    """Run the experiment that the first word names."""
    completion.complete()
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
    word, _, value = name.partition("=")
    if name in ("--help", "-h", "-help", "help"):
        print(listed())
    elif name in ("--version", "-version"):
        print(process.versions_text())
    elif word in ("--completion", "-completion"):
        try:
            print(completion.script(value or " ".join(flags)))
        except process.UsageError as error:
            process.leave("backflow", str(error), 2)
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
    questions = process.experiments()
    width = max(map(len, questions))
    return "\n".join(
        [
            "Usage: backflow NAME --flag=value ..., or python -m experiments.NAME ...",
            "",
            *(f"  {name:{width}}  {question}" for name, question in questions.items()),
            "",
            "The flags of an experiment: backflow NAME --help",
            "Versions of packages:       backflow --version",
            'Completion with Tab:        eval "$(backflow --completion=SHELL)", with',
            f"                            SHELL one of {', '.join(completion.SHELLS)}",
        ]
    )


if __name__ == "__main__":
    main()
