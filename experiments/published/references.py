"""Published numbers of cells of `nets` that no run here is compared with, and why."""

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """Published numbers that are not measured here.

    Attributes:
        cells: The cells.
        number: The numbers and what they measure; or that there are none.
        source: Their source, or the publication of the cells.
        needs: Data or hardware that a measurement needs.
    """

    cells: str
    number: str
    source: str
    needs: str


MNIST = "MNIST, 784 steps"
ARCHIVE = "the UEA archive"
NONE = "none found for sequential digits and MNIST-1D; others:"
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
        "sequences of 4,096 steps, a GPU",
    ),
    Elsewhere(
        "LinOSS",
        f"{NONE} long sequences",
        "Rusch and Rus 2025, https://arxiv.org/abs/2410.03943",
        ARCHIVE,
    ),
    Elsewhere(
        "damped LinOSS",
        f"{NONE} long sequences",
        "Boyer, Rusch and Rus 2025, https://arxiv.org/abs/2505.12171",
        ARCHIVE,
    ),
    Elsewhere(
        "AUSSM",
        f"{NONE} parity, modular arithmetic, long sequences",
        "Karuvally et al. 2025, https://arxiv.org/abs/2507.05238",
        f"generators of formal languages; {ARCHIVE}",
    ),
    Elsewhere(
        "PD-SSM",
        f"{NONE} finite-state automata, long sequences",
        "Terzić et al. 2025, https://arxiv.org/abs/2509.22284",
        f"generators of automata; {ARCHIVE}",
    ),
    Elsewhere(
        "ParaGRU, ParaLSTM",
        f"{NONE} language models",
        "Danieli et al. 2025, https://arxiv.org/abs/2510.21450",
        "corpora, GPUs",
    ),
    Elsewhere(
        "M2RNN",
        f"{NONE} state tracking, language models",
        "Mishra et al. 2026, https://arxiv.org/abs/2603.14360",
        "corpora, GPUs",
    ),
    Elsewhere(
        "Mamba (S6)",
        "MNIST: below the 97 % of COFFEE in the same network of 3,585 parameters; its "
        "own number is not in the abstract; others: language models",
        "Zattra et al. 2025, https://arxiv.org/abs/2510.14027",
        MNIST,
    ),
    *(
        Elsewhere(
            cells,
            f"{NONE} language models",
            "the papers in the docstrings of the cells",
            "corpora, GPUs",
        )
        for cells in (
            "Mamba-2",
            "mLSTM, sLSTM",
            "DeltaNet, gated DeltaNet",
            "GLA, HGRN2, RWKV-7",
        )
    ),
)
