"""How many trials share a GPU where ``compute.gpus_per_trial`` is "auto".

rule.py       how many, from measured numbers
subjects.py   what is measured: the architectures of a grid
probe.py      measures them where the GPU is, and says what could not be measured
kept.py       measurements in the store, so that the next launch does not repeat them
decide.py     what a launch does: look up, measure, decide, tell

An engine passes :func:`sweep.engines.sharing.decide.decide` a function that runs the probe on its machines. The
launching process itself never uses a GPU.
"""
