"""At which gain of its weights does a random network become chaotic?

    python -m experiments.edge_of_chaos --features=100,400

Networks h' = tanh(W h) without input, W ~ N(0, g^2 / N), run by themselves, and the
largest Lyapunov exponent is measured against the gain g: below zero all states end in
one point or cycle, at zero they go round, above zero they are chaotic. The mean field
of infinitely many units is drawn beside it, and below the transition ln rho(W) of each
W that was drawn, which is the exponent exactly. Small networks go round in cycles where
the mean field is chaotic already.
"""

from experiments.edge_of_chaos.experiment import Config, run

__all__ = ["Config", "run"]
