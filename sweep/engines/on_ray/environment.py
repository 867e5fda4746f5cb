"""Environment variables for Ray and Tune, and the token that keeps others off our Ray. Imports no ray."""

import getpass
import os
import secrets
import uuid
from contextlib import suppress
from pathlib import Path

from training import allocator

# For trials wherever they run; the others are for the driver and a Ray that it starts.
FOR_TRIALS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # stay in one folder: a folder per trial breaks relative paths
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # patience with a busy machine: after it, the next trial is lost
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a GPU sees none
    **allocator.ENVIRONMENT,  # a trial trains in a thread of its worker
}
_FOR_THE_DRIVER = {
    "RAY_worker_niceness": "0",  # as fast as without Ray
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the only output engine that verbose=0 silences
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # no paragraph on stdout for each worker that died: we log a line
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # or five files a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Stop handles Ctrl-C
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # no snapshots: the store is the only state
}


def prepare(address: str | None) -> None:
    """Set variables that are not set. Call it before ray is imported.

    A Ray that we start always requires the token, because parts of it listen on every network interface; a cluster that
    we join gets the token if there is one.
    """
    for name, value in {**FOR_TRIALS, **_FOR_THE_DRIVER}.items():
        os.environ.setdefault(name, value)
    if address is None:
        _make_token()
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    _name_user()


def _token_file() -> Path | None:
    """None where this user has no home."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    with suppress(RuntimeError):
        return Path(named) if named else Path.home() / ".ray" / "auth_token"
    return None


def _has_token() -> bool:
    file = _token_file()
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or (file is not None and file.exists())


def _make_token() -> None:
    """Make a token that only its owner can read; the file that Ray makes is readable by all.

    Where no file can be written, the token goes into the environment, for the processes that this one starts.
    """
    file = _token_file()
    if not _has_token():
        try:
            _write_token(file)
        except OSError:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    elif file and file.exists() and file.stat().st_uid == os.getuid() and file.stat().st_mode & 0o077:
        file.chmod(0o600)


def _write_token(file: Path | None) -> None:
    """Write it atomically: another first launch may read it at this moment, or write its own."""
    if file is None:
        raise FileNotFoundError
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # the other was first, and its token counts
            os.link(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _name_user() -> None:
    """Set a user name where there is none: libraries ask for it, and fail."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        os.environ["USER"] = f"user-{os.getuid()}"
