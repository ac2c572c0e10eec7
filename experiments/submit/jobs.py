"""Jobs of submitit: each runs one shard, and resumes it when it is queued again."""

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Sequence

from submitit.core.utils import DelayedSubmission


class ShardJob:
    """Run one shard in a separate process.

    When a job is about to run out of time or to be preempted, submitit calls
    `checkpoint`, and queues the result in place of the job.

    Args:
        command: Words of the command, which resumes the shard if it has begun.
        folder: Results folder of the shard, which exists once the shard is complete.
    """

    def __init__(self, command: Sequence[str], folder: pathlib.Path):
        self.command, self.folder = list(command), folder
        self._pid: int | None = None

    def __call__(self) -> str:
        """Run or resume the shard, and return its folder.

        Raises:
            RuntimeError: The shard failed.
        """
        if self.folder.exists():  # it came to its end just before the time ran out
            return str(self.folder)
        child = subprocess.Popen(self.command, preexec_fn=_ignore_warning)
        # `Popen.wait` holds a lock, for which `checkpoint`, called meanwhile, would
        # wait forever.
        self._pid = child.pid
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        self._pid, child.returncode = None, code
        if code:
            raise RuntimeError(f"{self.folder.name} failed with exit code {code}")
        return str(self.folder)

    def checkpoint(self) -> DelayedSubmission:
        """Save and stop the shard, and return the job that resumes it."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGTERM)
                os.waitpid(self._pid, 0)
        return DelayedSubmission(ShardJob(self.command, self.folder))


def _ignore_warning() -> None:
    """Ignore the signal by which SLURM warns all processes of a job.

    The parent answers it, and ends this process by SIGTERM.
    """
    name = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
