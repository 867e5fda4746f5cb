"""What a stored trial found, for other tools: masks, weights and the compact network.

stored.py      masks, initial and final weights of a stored trial, as tensors
compact.py     the smaller network that computes the same, its widths, and how far its outputs are off
formats.py     the kinds of files that each of them can be written to
writing.py     tensors and networks to bytes in these formats
files.py       what a command exports: checked before it runs, written whole or not at all
"""
