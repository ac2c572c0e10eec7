"""Published numbers and those measured, collected from runs."""

from functools import partial

import pytest
from commands import files, rows

from experiments import published
from experiments.harness import published as comparisons
from experiments.harness.folders import ResultsError
from experiments.harness.published import Published
from experiments.harness.runs import new_run
from experiments.published import claims, figures, records

GRU = Published("MNIST-1D, GRU", 89.1, "a notebook", 2.0, "%")
POOL = Published("pool max", 78.2, "a notebook")
CONFIG = {
    "experiment": "mnist1d",
    "command": "python -m experiments.mnist1d --models=gru --results=there --resume",
    "config": {"seeds": [0, 1, 2]},
}


@pytest.fixture
def folder(tmp_path):
    with new_run(tmp_path / "there", CONFIG) as results:
        comparisons.log(results, GRU, [89.0, 90.0, 91.0], 12.5)
        comparisons.log(results, POOL, [79.0])
        far = GRU._replace(setting="x|y", published=50.0)
        comparisons.log(results, far, [90.0, 90.2])
    return tmp_path / "there"


def test_a_run_knows_its_duration(folder):
    (record,) = records.read([str(folder)])
    assert record.seconds is not None and 0 <= record.seconds < 60
    assert record.command == "python -m experiments.mnist1d --models=gru"


def test_a_row_has_the_interval_the_deviation_and_the_judgment(folder):
    row, pool, far = rows(folder, "published")
    assert (row["measured"], row["seeds"], row["seconds"]) == (90.0, 3, 12.5)
    assert row["deviation"] == pytest.approx(0.9) and row["within"] is True
    assert row["low"] < 89 < 91 < row["high"]
    assert pool["low"] is None and pool["within"] is None and far["within"] is False


def test_a_run_on_a_validation_set_compares_with_nothing(tmp_path):
    config = CONFIG | {"config": {"evaluate_on": "validation"}}
    with new_run(tmp_path / "run", config) as results:
        comparisons.log(results, GRU, [89.0])
        results.log(kind="other")
    assert rows(tmp_path / "run", "published") == []


def test_a_run_counts_once(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ResultsError, match="the run there is given twice"):
        records.read([str(folder), "there"])


def test_the_table_and_the_claim(folder):
    there = records.read([str(folder)])
    table = claims.table(there)
    columns = [table.header.index(name) for name in ("deviation", "within", "took")]
    texts = [[row[i] for i in columns] for row in table.rows]
    assert texts[0] == ["+0.9", "yes", "12 s"]
    assert [row[1] for row in texts] == ["yes", "-", "no"]
    assert claims.answer(there) == (
        "1 of 2 published or earlier numbers are reproduced within their tolerance; 1 "
        "more have no tolerance."
    )
    claim = claims.reproduced_claim(there)
    assert claim.counted_outcome == "partly supported (1 of 2 cases)"
    assert r"| x\|y, % | 50 |" in claims.markdown({"Numbers": table})
    plot = figures.draw(there)
    assert len(plot.figure.axes[0].get_yticklabels()) == 2


def test_the_command_collects_runs(folder, launched, tmp_path):
    run = partial(launched, published)
    code, out, err = run(str(folder), "--results=all")
    assert (code, err) == (0, "")
    made = tmp_path / "all"
    assert {"published.md", "published.png", "report.html"} <= files(made)
    assert len(rows(made, "compared")) == 3
    text = (made / "published.md").read_text()
    assert "`python -m experiments.mnist1d --models=gru`" in text
    assert "sequential MNIST 99.5 %" in text and "1 of 2 published" in out
    code, _, err = run(str(made), "--results=again")
    assert code == 2 and "compares with no published number" in err
