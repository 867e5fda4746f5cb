"""The commands that the pages on clusters show, and a shell that runs them."""

import io
import os
import re
import shlex
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

from awscli.clidriver import create_clidriver
from click.testing import CliRunner

from sweep.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/cluster.md", *sorted((ROOT / "docs/cluster").glob("*.md"))]

# Beginnings of commands that one machine cannot run, and why.
ELSEWHERE = {
    "python3 -m venv": "the tests run in an environment that is installed already",
    ". .sky/bin/activate": "SkyPilot asks for an older click than sweep, and cannot be in one environment with it",
    "pip install": "the tests run in an environment that is installed already",
    "aws configure": "asks for the credentials of an account",
    "aws service-quotas": "needs an AWS account: the local server has no quotas of EC2",
    "aws iam create-service-linked-role": "needs an AWS account: the local server has no such roles",
    "aws ssm get-parameter": "needs an AWS account: the parameter is AWS's own",
    "ray up": "needs a cloud",
    "ray exec": "needs a cluster in a cloud",
    "ray down": "needs a cluster in a cloud",
    "ray dashboard": "needs a cluster in a cloud",
    "ray job": "needs the port of a head's job server; tests/faults/test_from_outside.py submits, stops and reads jobs",
    "RAY_AUTH_MODE=token ray drain-node": "needs a machine that is not the head's; tests/faults/test_nodes.py drains one",
    "gcloud": "needs a project on Google Cloud",
    "helm": "needs Kubernetes",
    "kubectl": "needs Kubernetes",
    "docker": "needs Docker and the images of Ray",
    "sky ": "needs accounts in clouds",
    "for i in 1 2 3 4; do sky": "needs accounts in clouds",
    "sbatch": "needs Slurm; tests/faults/test_slurm.py runs the script in its environment",
    "squeue": "needs Slurm",
    "scancel": "needs Slurm",
}


def commands(page: Path) -> list[str]:
    """What the page shows behind a "$", in its order; a line that ends with a backslash goes on in the next."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = re.sub(r" *\\\n *", " ", "".join(blocks)).splitlines()
    assert all(line.startswith("$ ") for line in lines), f"{page.name}: a console block has commands alone"
    return [line[2:] for line in lines]


def runs_here(command: str) -> bool:
    return not command.startswith(tuple(ELSEWHERE))


class Shell:
    """Runs commands one after another in the current folder. ``aws`` and ``sweep`` run in this process, launches apart."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self._aws = create_clidriver()

    def run(self, command: str) -> str:
        """What the command prints. It must succeed."""
        self.ran.append(command)
        if assignment := re.fullmatch(r"(\w+)=\$\((.*)\)", command):
            os.environ[assignment[1]] = self.run(assignment[2]).strip()
            return ""
        if command.startswith("export "):
            os.environ.update(word.split("=", 1) for word in shlex.split(command)[1:])
            return ""
        if command.startswith("aws "):
            with redirect_stdout(io.StringIO()) as output:
                code = self._aws.main(_words(command)[1:])
            assert code == 0, f"{command}: exit code {code}"
            return output.getvalue()
        if command.startswith("sweep ") and not command.startswith("sweep launch"):
            result = CliRunner().invoke(main, _words(command)[1:], catch_exceptions=False)
            assert result.exit_code == 0, f"{command}: {result.output}"
            return result.output
        return _bash(command)


def _words(command: str) -> list[str]:
    """The command's words as a shell passes them."""
    return _bash(f"printf '%s\\0' {command}").split("\0")[:-1]


def _bash(command: str) -> str:
    return subprocess.run(["bash", "-euc", command], check=True, stdout=subprocess.PIPE, text=True).stdout
