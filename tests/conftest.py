"""Shared by all tests: one thread a process, so that two workers share two cores and results do not depend on them."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import torch

torch.set_num_threads(1)
