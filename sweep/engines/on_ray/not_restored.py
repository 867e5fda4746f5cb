"""A mixin for helpers of Tune that cannot be pickled."""


class NotRestored:
    """Pickled as an empty object. Tune saves its helpers to restore experiments; we never restore one."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()
