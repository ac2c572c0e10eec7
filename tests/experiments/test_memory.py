"""The memory experiment, run through its command line."""

import pytest
from commands import rows

from experiments import memory


@pytest.mark.slow
def test_it_compares_with_and_without_remat(launched, tmp_path):
    flags = ["--max_steps=1024", "--features=8", "--batch_size=4", "--cells=gru"]
    done = launched(memory, *flags, "--results=out")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "Results: out"
    _, table, *_ = done.stdout.split("\n\n")
    plain, remat = (float(line.split()[-1]) for line in table.splitlines()[-2:])
    assert 0.9 < plain < 1.1 and remat < 0.75
    folder = tmp_path / "out"
    assert (folder / "memory.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "<h1>How much memory does back-propagation through time need" in page
    assert "the memory of back-propagation grows as T^" in page
    assert page.count("<img ") == 1
    assert "gru with remat" in page and "--max_steps=1024" in page
    memories = rows(folder, "memory")
    sizes = {(row["time"], row["remat"]): row["bytes"] for row in memories}
    assert len(sizes) == 6
    assert all(sizes[time, True] < sizes[time, False] for time in (256, 512, 1024))
