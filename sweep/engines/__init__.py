"""Where trials run: in this process, in several processes, or on Ray."""
