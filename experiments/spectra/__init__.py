"""Which cells keep a difference of the state, from which start, in how many directions?

    python -m experiments.spectra --cells=lstm,gru --inits=own,keras,chrono

Cells of equal size run on white noise, untrained. Their Lyapunov exponents say at which
rate each direction of the state shrinks or grows in the long run: at zero a gradient
neither vanishes nor explodes. The singular values of the whole product of the same
Jacobians say how much it is stretched within these steps; both have the same sum.
"""

from experiments.spectra.experiment import Config, run

__all__ = ["Config", "run"]
