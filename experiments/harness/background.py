"""A thread that writes files while the main thread computes."""

import concurrent.futures
from collections.abc import Callable
from typing import Any


class Writer:
    """Writes one after another, in the background."""

    def __init__(self) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "writer")
        self._last: concurrent.futures.Future | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._last is not None and not self._last.done()

    def submit(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Write in the background, once what was submitted before is written.

        Args:
            write: Function that writes.
            *arguments: Its arguments, which nothing else changes.

        Raises:
            OSError: An earlier file could not be written.
        """
        self.wait()  # so that no more than one copy is in memory
        self._last = self._pool.submit(write, *arguments)

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: It could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Wait until everything is written, or could not be; end the thread."""
        self._pool.shutdown()
