"""Data sets as arrays: one data set or one file format per module."""

from train.data.dataset import Dataset
from train.data.loading import load

__all__ = ["Dataset", "load"]
