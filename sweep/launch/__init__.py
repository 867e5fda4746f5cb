"""A sweep, from its plan to the finished store.

plan.py            the trials that a sweep asks for, and which of them are left to run
preflight.py       what is checked before a trial starts
order.py           which trials start first
run.py             run a plan: the order of everything
dispatch.py        hand trials to the engine until all have ended, here or in other launches
background.py      a launch that goes on when its terminal is closed
requests.py        while it runs: do what sweep stop and sweep cancel ask for
running.py         launches that run now, asking them to end, waiting for it
relaunch.py        plans of stored trials that run again
rerun.py           run one trial, new or stored, in this process
failure_streak.py  stop when the first trials all fail for the same reason
pace.py            how long trials take, from those that have ended and those that run
finish.py          after the trials: drop leftover checkpoints, compact the store, draw the report
progress/          what a terminal or a log shows meanwhile
"""
