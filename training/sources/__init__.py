"""Readers of data sets, one file per format; interface.py has their common interface."""
