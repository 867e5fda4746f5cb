"""What the commands print of plans, records and verdicts, as tables and as plain values for JSON.

Each module imports only what it shows, so that commands that look at a store alone start without torch.
"""
