"""Runs the toy's bank in a process of its own on any cluster: folder, protocol and cluster as JSON, block."""

import json
import sys
from pathlib import Path

from twinarm.trials.protocol import Protocol
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.console import guarded
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import locked
from twinarm.workflows.slurm import Slurm


def main(out: str, text: str, cluster: str, block: str) -> None:
    protocol = Protocol.model_validate_json(text)
    means = json.loads(cluster)
    if "slurm" in means:
        means["slurm"] = Slurm(**means["slurm"])
    if "certificates" in means:
        means["certificates"] = Path(means["certificates"])
    with guarded(debug=False):
        folder = run_folder_of(protocol, out)
        with locked(folder):
            print(simulate_bank(folder, protocol, Cluster(**means), int(block)).digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
