"""Compaction: the smaller network that a mask leaves, which computes the same.

channels.py    which channels belong together, found by tracing
tracing.py     one pass over a network's modules and operations
liveness.py    which channels carry anything under a mask
narrowing.py   a copy of a network with fewer channels
places.py      where the weights of the smaller network lie in the whole one
live_part.py   the part of a network that lives, for scoring it
compaction.py  all of it: a network and its masks to a smaller one, and back
"""
