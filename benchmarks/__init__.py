"""What is claimed to be fast, measured as a ratio beside the plain way of doing it, in the same run: ``make bench``.

measure.py      how a ratio is measured, and the table of them
plain.py        the plain ways: written as a good researcher would write them, on torch and torchvision alone
networks.py     the networks, batches and masks that are measured on
pruning.py, authors.py, training.py, sweeps.py, masks.py, store.py      the measurements
"""
