"""The experiment: what to run, where it runs, what came out."""

from sweep import imports

imports.prefer_ours()
