"""What every experiment uses: the command line, runs, statistics, figures, reports."""
