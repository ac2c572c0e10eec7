"""No flags make a command fail but in one sentence."""

import os
import pathlib

import fuzz
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("FUZZ", "200"))  # thousands by hand: see fuzz.py
QUICK = sorted(set(fuzz.EXPERIMENTS) - {"course"})


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_hostile_flags_are_refused_in_one_sentence(part, tmp_path, monkeypatch):
    @settings(
        max_examples=CASES // 4,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.data())
    def one(data):
        def choose(values):
            return values[data.draw(st.integers(0, len(values) - 1))]

        name = choose(QUICK[part::4])
        words = fuzz.flags(name, choose)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        monkeypatch.chdir(folder)
        code, _, err = fuzz.call(name, words, whole=False)
        fault = fuzz.violation(code, err, pathlib.Path(folder))
        assert fault is None, (name, words, fault)

    one()
