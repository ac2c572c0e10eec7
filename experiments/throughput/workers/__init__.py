"""Contenders, each a program that prints one time per line that it reads."""
