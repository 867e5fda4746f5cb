"""Where images come from: one file a format, each with `present`, `check` and `load`."""
