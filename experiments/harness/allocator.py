"""The allocator of the C library."""

import ctypes
import os
import sys

# Parameters of mallopt in glibc's malloc.h, and their values.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
MOST = 2**31 - 1


def keep_memory() -> None:
    """Keep memory that is freed, for the next arrays.

    By default glibc returns large arrays to the system, which must clear their pages
    when they are allocated again, in each step of a training. Other C libraries are
    left as they are, and so is glibc if GLIBC_TUNABLES is set.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(ARENA_MAX, 1)  # threads share one heap
        library.mallopt(MMAP_MAX, 0)  # all arrays are in the heap
        library.mallopt(TRIM_THRESHOLD, MOST)  # which does not shrink
