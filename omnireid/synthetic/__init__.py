"""Synthetic people, written in the real layout of every data set."""
