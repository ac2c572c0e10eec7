"""Data sets as arrays, one data set per module."""
