"""The experiment: what to run, where it runs, what came out."""
