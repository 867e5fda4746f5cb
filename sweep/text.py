"""Numbers as people read them."""


def percent(fraction: float) -> str:
    """``0.995`` -> ``99.5%``, with as many digits as it takes."""
    return f"{100 * fraction:.10g}%"


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
