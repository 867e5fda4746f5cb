"""Readers of data sets, one file per format; source.py has their common interface."""
