"""Published numbers of cells of `nets` that no run here is compared with, and why."""

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """Published numbers that are not measured here.

    Attributes:
        cells: The cells.
        number: The numbers and what they measure; or that there are none.
        source: Their source, or the publication of the cells.
        needs: What a measurement needs.
    """

    cells: str
    number: str
    source: str
    needs: str


MNIST = "MNIST, 784 steps, which this project does not have"
ARCHIVE = (
    "UEA archive: sequences of 400 to 18,000 steps, which this project does not have"
)
NO_DIGITS = "no number for sequential digits or MNIST-1D was found"
ELSEWHERE = (
    Elsewhere(
        "LEM",
        "sequential MNIST 99.5 %, permuted 96.6 %",
        "authors' README, https://github.com/tk-rusch/LEM",
        MNIST,
    ),
    Elsewhere(
        "coRNN",
        "sequential MNIST 99.4 %, permuted 97.34 %",
        "authors' README, https://github.com/tk-rusch/coRNN",
        MNIST,
    ),
    Elsewhere(
        "minGRU, minLSTM",
        "selective copying, 3 layers: 99.5 ± 0.2 %, 96.0 ± 2.8 %",
        "Feng et al. 2024, https://arxiv.org/abs/2410.01201",
        "sequences of 4,096 steps and a GPU",
    ),
    Elsewhere(
        "LinOSS, damped LinOSS",
        f"classification of long sequences; {NO_DIGITS}",
        "Rusch and Rus 2025, https://arxiv.org/abs/2410.03943; Boyer, Rusch and Rus "
        "2025, https://arxiv.org/abs/2505.12171",
        ARCHIVE,
    ),
    Elsewhere(
        "PD-SSM",
        f"finite-state automata, and classification of long sequences; {NO_DIGITS}",
        "Terzić et al. 2025, https://arxiv.org/abs/2509.22284",
        "generators of automata, which this project does not have; " + ARCHIVE,
    ),
    Elsewhere(
        "Mamba, Mamba-2, mLSTM, sLSTM, DeltaNet, gated DeltaNet, GLA, HGRN2, RWKV-7, "
        "ParaGRU, ParaLSTM, M2RNN",
        f"language models; {NO_DIGITS}",
        "the papers in the docstrings of the cells",
        "corpora and accelerators",
    ),
)
