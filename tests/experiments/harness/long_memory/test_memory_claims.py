"""Learning curves next to published numbers: texts, comparisons and claims."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.harness.claims import INCONCLUSIVE, PARTLY_SUPPORTED, SUPPORTED
from experiments.harness.long_memory import claims
from experiments.harness.long_memory.claims import LOSS, SEQUENCES, Reference
from experiments.harness.long_memory.trainings import Curve
from experiments.harness.published import Published
from experiments.harness.runs import new_run


def curve(cell="gru", init="orthogonal", length=100, solved=(700, 800), slope=0.1):
    seeds = list(range(len(solved)))
    losses = np.array([[0.2, 0.005 if s else 0.17] for s in solved])
    profile = np.outer(slope + 0.001 * np.array(seeds), np.arange(5.0))
    steps, solved = np.array([500, 1000]), np.array(solved)
    return Curve(cell, init, length, 9, seeds, steps, losses, solved, profile)


FLAGS = dict(claims.STANDARD)
CONFIG = SimpleNamespace(**FLAGS, steps=1000)


def compared(tmp_path, curves, references, config=CONFIG):
    with new_run(tmp_path / "run", {}) as results:
        rows = claims.compare(curves, references, config, results)
        logged = [row for row in results.logged() if row["kind"] == "published"]
    assert len(logged) == len(rows)
    return rows


def test_steps_and_losses_are_compared(tmp_path):
    references = [
        Reference(100, "gru", "orthogonal", Published("steps", 700, "a", 60)),
        Reference(
            100, "gru", "orthogonal", Published("count", 35_000, "a", 1), SEQUENCES
        ),
        Reference(100, "gru", "chrono", Published("loss", 0.17, "a", 0.01), LOSS),
        Reference(100, "lstm", "orthogonal", Published("absent", 700, "a", 50)),
    ]
    curves = [curve(), curve(init="chrono(100)", solved=(0, 0))]
    rows = compared(tmp_path, curves, references)
    assert [row["setting"] for row in rows] == ["steps", "count", "loss"]
    assert [row["measured"] for row in rows] == pytest.approx([750, 37_500, 0.17])
    assert [row["within"] for row in rows] == [True, False, True]
    (claim,) = claims.claim(rows)
    outcomes = [case.outcome for case in claim.cases]
    assert outcomes == [SUPPORTED, INCONCLUSIVE, SUPPORTED]
    assert claim.outcome == PARTLY_SUPPORTED
    table = claims.table(rows).rows
    assert table[0][2:] == ["700", "750 [115, 1,385]", "+50", "60", "yes"]
    assert table[2][2:] == ["0.17", "0.17 [0.17, 0.17]", "+0", "0.01", "yes"]


def test_a_model_that_never_solves_counts_with_all_its_steps(tmp_path):
    reference = Reference(100, "gru", "orthogonal", Published("steps", 700, "a", 60))
    (row,) = compared(tmp_path, [curve(solved=(600, 0))], [reference])
    assert row["measured"] == (600 + 1000) / 2


@pytest.mark.parametrize(
    "flags",
    [
        *({"features": 32}, {"batch_size": 49}, {"steps": 700}, {"optimizer": "sgd"}),
        *({"learning_rate": 1e-2}, {"average": 0.9}, {"accumulate": 2}),
    ],
)
def test_other_settings_are_not_compared(tmp_path, flags):
    reference = Reference(100, "gru", "orthogonal", Published("steps", 700, "a", 60))
    config = SimpleNamespace(**{**FLAGS, "steps": 1000, **flags})
    assert compared(tmp_path, [curve()], [reference], config) == []


def test_steps_as_text():
    texts = [
        claims.steps_text(curve(solved=solved))
        for solved in ((700, 800), (700, 700), (0, 700), (0, 0))
    ]
    assert texts == ["700-800", "700", "700 to never", "never"]
    assert claims.steps_text(curve(), 50) == "35,000-40,000"


def test_the_answer_names_who_solves_the_longest_task():
    curves = [
        curve(solved=(0, 0)),
        curve(length=200, solved=(900, 950)),
        curve(length=200, init="chrono(200)", solved=(100, 150)),
        curve("elman", length=200, solved=(0, 0)),
        curve("irnn", length=200, solved=(0, 300)),
    ]
    assert claims.answer(curves) == (
        "At length 200: solved from every seed by GRU (chrono) in 100-150, GRU "
        "(orthogonal) in 900-950 steps; from some seeds by IRNN; from none by Elman."
    )
    assert claims.answer(curves[:1]) == "At length 100: solved from none by GRU."


def test_one_initialization_is_sooner_than_another():
    curves = [curve(solved=(900, 950)), curve(init="chrono(100)", solved=(100, 160))]
    (claim,) = claims.sooner_claim(curves, "chrono", 1000, "It is sooner")
    (case,) = claim.cases
    assert (case.name, claim.outcome) == ("gru, 100: orthogonal", SUPPORTED)
    assert case.value.startswith("+795 [")
    assert claims.sooner_claim(curves[:1], "chrono", 1000, "It is") == []


def test_the_rank_correlation_of_decay_and_steps():
    curves = [
        curve(str(i), slope=0.1 * i, solved=(100 * i, 100 * i + 5)) for i in range(1, 5)
    ]
    (claim,) = claims.gradient_claim(curves, 1000)
    assert claim.outcome == SUPPORTED
    assert claim.cases[0].value == "+1.00 [+1.00, +1.00]"
    assert claims.gradient_claim(curves[:3], 1000) == []
    never = [curve(str(i), slope=0.1 * i, solved=(0, 0)) for i in range(5, 7)]
    assert claims.gradient_claim([*curves[:2], *never], 1000) == []  # two solve it


def test_an_argument_other_than_the_length_is_named():
    curves = [curve(init=f"chrono({count})") for count in (50, 100)]
    names = [claims.name_of(each, curves) for each in curves]
    assert names == ["GRU (chrono(50))", "GRU (chrono)"]
