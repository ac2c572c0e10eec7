"""Data sets, one a file: arrays out."""
