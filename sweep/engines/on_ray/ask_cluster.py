"""Asks the Ray at an address who it is: ``python -m sweep.engines.on_ray.ask_cluster ADDRESS SECONDS`` prints JSON.

It is a process of its own because Ray would try for minutes, and cannot be interrupted, where something else listens.
"""

import json
import signal
import socket
import sys

from sweep.engines.on_ray import ray_internals

CONNECT_SECONDS = 10.0


def main(address: str, seconds: int) -> None:
    """Print the cluster, or an error and its kind. SIGALRM ends this process where no answer comes in time."""
    try:
        at = ray_internals.host_and_port(address)
        host, _, port = at.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        signal.alarm(seconds)
        print(json.dumps(ray_internals.cluster_at(at)._asdict()))
    except Exception as error:  # of Ray's many
        first_line = str(error).strip().partition("\n")[0][:500]
        print(json.dumps({"error": first_line or type(error).__name__, "kind": type(error).__name__}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
