"""A page with the table of all points, which the reader can sort by any column."""

import pathlib

import numpy as np
from scipy import stats

from experiments.atlas import rows
from experiments.atlas.scores import Points
from experiments.harness import pages

FILE = "atlas.html"


def write(file: pathlib.Path, atlas: Points, caption: str) -> None:
    """Write the page.

    Args:
        file: File to write.
        atlas: The points.
        caption: Setting of the run.
    """
    header = [
        "cell",
        "initialization",
        "units",
        *rows.MEASURE_HEADERS,
        *rows.OUTCOME_HEADERS,
    ]
    texts = [
        [
            cell,
            init,
            str(units),
            *rows.measure_texts(measures),
            *rows.outcome_texts(outcomes),
        ]
        for cell, init, units, measures, outcomes in zip(*atlas, strict=True)
    ]
    # Of the measures, nearness to 0 is no column; signs are those of the quantities.
    rate, half_life, horizon, exponent, _, exponents, conditioning, share = (
        atlas.measures.T
    )
    columns = [
        *(np.unique(names, return_inverse=True)[1] for names in atlas[:2]),
        atlas.features,
        *(-rate, half_life, horizon, exponent, exponents, -conditioning, share),
        *(-atlas.outcomes.T),
    ]
    ranks = [stats.rankdata(np.nan_to_num(c, nan=-1.0), "dense") for c in columns]
    pages.write(
        file,
        "sortable.html.j2",
        kind="atlas",
        title="The atlas of gradient flow",
        caption=caption,
        header=header,
        rows=list(zip(texts, np.transpose(ranks).astype(int).tolist(), strict=True)),
    )
