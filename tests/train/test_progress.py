"""Output and log rows of `fit` during a training."""

import io
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import Metrics, fit, progress

XS = jnp.arange(8.0)


def loss_fn(w, x, key):
    return ((w - x) ** 2).mean()


def train(**options):
    options = {"steps": 6, "batch_size": 4, "steps_per_call": 3, **options}
    return fit(loss_fn, optax.sgd(0.1), jnp.zeros(2), XS, [0, 1], **options)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_loss_norm_rate_and_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    rows = []
    train(learning_rate=0.1, desc="gru", log_fn=lambda **row: rows.append(row))
    last = terminal.getvalue().split("\r")[-1]
    loss = np.mean([row["loss"] for row in rows[-2:]])
    norm = np.mean([row["gradient_norm"] for row in rows[-2:]])
    assert last.startswith("gru: |") and "| 6/6 [00:00 left, " in last
    assert f"loss={loss:.3g}, |grad|={norm:.3g}, rate=0.1, " in last
    assert "step/s" in last


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("desc", ["gru", "digits, layer_norm_lstm", ""])
def test_all_numbers_fit_into_a_terminal(columns, desc, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress.bar(0, 10_000, desc) as bar:
        bar.ncols, bar.start_t = columns, bar.start_t - 0.4  # a bit over an hour
        metrics: Any = np.array([[1234.0]]), np.array([[0.0000123]])
        progress.advance(bar, Metrics(*metrics), np.array([0.003]))
        shown = str(bar)
    assert len(shown) <= columns and shown.startswith(desc[:6])
    for part in (" left", "loss=1.23e+03", "|grad|=1.23e-05", "rate=0.003"):
        assert part in shown


def test_the_bar_is_nowhere_but_on_a_terminal(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    train(learning_rate=0.1)
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.1, [0.1, 0.1]),
        (optax.linear_schedule(1.0, 0.4, 6), [0.8, 0.5]),
    ],
)
def test_the_rate_of_the_last_step_is_logged(rate, expected):
    rows = []
    train(learning_rate=rate, log_fn=lambda **row: rows.append(row))
    logged = [row["learning_rate"] for row in rows if row["seed"] == 0]
    assert logged == pytest.approx(expected)


def test_a_rate_that_is_not_known_is_not_logged():
    rows = []
    train(log_fn=lambda **row: rows.append(row))
    assert not any("learning_rate" in row for row in rows)
    ones = np.ones((1, 1))
    assert "rate" not in progress.text(ones, ones, np.nan)


def test_probes_are_logged_as_they_come():
    events = []
    fitted = train(
        probe=lambda w: {"w": w},
        probe_every=2,
        log_fn=lambda **row: events.append(row["step"]),
        log_probe_fn=lambda step, values: events.append((step, values["w"].tolist())),
    )
    assert fitted.probes is not None
    probed = [event for event in events if isinstance(event, tuple)]
    assert [step for step, _ in probed] == fitted.probes.steps.tolist() == [0, 2, 4]
    assert [w for _, w in probed] == fitted.probes.values["w"].tolist()
    assert [e if isinstance(e, int) else e[0] for e in events] == [3, 3, 0, 2, 6, 6, 4]


def test_models_that_diverged_are_left_out_of_the_mean():
    loss, norm = np.array([[1.0, np.inf]]), np.full((1, 2), np.nan)
    assert progress.text(loss, norm, np.nan) == "loss=1, |grad|=nan"
