"""The latency of `/healthz` under load.

A separate process measures, so that the load generator does not affect it: `python -m
benchmarks.health PORT SECONDS` prints the milliseconds as JSON.
"""

import http.client
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.load import closed_loop
from benchmarks.measure import known_user
from benchmarks.servers import ROOT, project

CLIENTS = (1, 64, 256)
SECONDS = 10.0
PAUSE_S = 0.01


def under_load(url: str) -> dict[str, dict[str, Any]]:
    """By the number of clients that request recommendations without pause."""
    with project(url) as server:
        closed_loop(server.port, known_user, clients=1, requests=1)
        return {str(clients): _beside(server.port, clients) for clients in CLIENTS}


def _beside(port: int, clients: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.health", str(port), str(SECONDS)]
    asking = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    load = closed_loop(port, known_user, clients=clients, seconds=SECONDS + 1)
    answered = np.array(json.loads(asking.communicate(timeout=60)[0]))
    return {
        "p50_ms": float(np.percentile(answered, 50)),
        "p99_ms": float(np.percentile(answered, 99)),
        "max_ms": float(answered.max()),
        "answers": len(answered),
        "statuses": load.statuses,
    }


def main() -> int:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answered = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        asked = time.perf_counter()
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"/healthz gave {response.status}")
        answered.append((time.perf_counter() - asked) * 1000)
        time.sleep(PAUSE_S)
    print(json.dumps(answered))
    return 0


if __name__ == "__main__":
    sys.exit(main())
