"""Compaction: replace a masked network by a smaller one that computes the same.

tracing.py       a network's torch.fx graph, and questions about its nodes
channelwise.py   the operations that keep channels apart, by name
channels.py      labels for the channels of every tensor in the graph
liveness.py      which channels are fed and read under a mask
narrowing.py     a copy of a network with fewer channels
kept_indices.py  which elements of the original's tensors the smaller network has
live_part.py     the smaller network on which saliencies are computed
compaction.py    the smaller network that is trained, and the way back to the original
"""
