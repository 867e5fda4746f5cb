import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.pages import ROOT


@pytest.fixture(scope="module")
def aws(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout of files alone on a machine whose boto3 and ``aws`` talk to a local server that answers as AWS does."""
    [address] = re.findall(r"endpoint_override=([^&]+)", s3)
    home = tmp_path_factory.mktemp("home")
    for name in ("clusters", "configs", "cluster.yaml"):
        (home / name).symlink_to(ROOT / name)
    (home / "curl").write_text("#!/bin/sh\necho 203.0.113.7  # this machine's address, from outside\n")
    (home / "curl").chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "BUCKET"):
            patch.delenv(name, raising=False)
        for name, value in {
            "HOME": str(home), "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_PAGER": "",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-west-2", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.setenv("PATH", f"{home}:{Path(sys.executable).parent}", prepend=":")
        patch.chdir(home)
        yield home
