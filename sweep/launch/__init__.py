"""A sweep, from its plan to the finished store.

run.py             plan a sweep and run what the store lacks
relaunch.py        run failed and interrupted trials again
rerun.py           run one trial, new or stored, in this process
progress.py        what a terminal or a log shows meanwhile
images.py          the images are there, and those of earlier trials
duplicates.py      sparsities that come to the same masks
failure_streak.py  stop where the first trials all fail for one reason
"""
