"""The plan as a budget: what the trials that are left take in time, memory, disk and dollars.

likeness.py      which trials tell how long another one takes
measured.py      what the store's trials and calibrations took
estimator.py     how long a trial takes, from what others took
budget.py        all of it for a plan
hardware.py      how many trials run at once, and what an hour of them costs
calibrations.py  what pieces of trials took, measured by ``sweep plan --calibrate`` and kept in the store
calibrate.py     measures them
"""
