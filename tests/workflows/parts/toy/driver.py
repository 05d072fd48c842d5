"""Runs the toy's bank in a process of its own, so that a test can end it: folder, protocol as JSON, workers, kind."""

import sys

from twinarm.trials.protocol import Protocol
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.console import guarded
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import locked


def main(out: str, text: str, workers: str, block: str) -> None:
    protocol = Protocol.model_validate_json(text)
    with guarded(debug=True):
        folder = run_folder_of(protocol, out)
        with locked(folder):
            bank = simulate_bank(folder, protocol, Cluster(int(workers), processes=False), int(block))
        print(bank.digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
