"""Worker processes, which answer one line at a time."""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Mapping

from experiments.harness import process

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}  # no warnings of XLA about its own tuning


class Worker:
    """A process that answers each line with a line.

    Args:
        name: Name of the process in messages.
        module: Module of `experiments.throughput.workers` that has `main()`.
        argument: Its argument on the command line.
        environment: Additional variables of its environment.
    """

    def __init__(
        self,
        name: str,
        module: str,
        argument: str,
        *,
        environment: Mapping[str, str] | None = None,
    ):
        paths = [str(process.ROOT), os.environ.get("PYTHONPATH", "")]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from experiments.throughput.workers import {module} as m; m.main()",
                argument,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**QUIET, **os.environ, **path, **(environment or {})},
            text=True,
        )
        self._name = name

    def send(self, line: str) -> None:
        """Send one line, to which the process answers."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)

    def answer(self, seconds: float | None = None) -> str:
        """The next line.

        Args:
            seconds: Time after which the process is ended if it has not answered.

        Raises:
            ChildProcessError: The process has ended, or did not answer in time.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.end()
            raise ChildProcessError(
                f"the process of {self._name} did not answer within {seconds:.0f} s"
            )
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise ChildProcessError(f"the process of {self._name} ended with {code}")
        return line.strip()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
