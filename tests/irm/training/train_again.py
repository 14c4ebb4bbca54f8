"""Runs `tools.train` again and again, each time in a new process, importing torch once for all.

Reads a command line a line, as JSON, answers with the process's number, then with how it ended. This process
itself never trains: what PyTorch's threads hold would not survive the fork.
"""

import json
import os
import sys

import torch.utils.tensorboard  # noqa: F401 (what a run imports late)

import irm.training.run  # noqa: F401
import omnireid.datasets  # noqa: F401
from tools._program import run
from tools.train import main

if __name__ == "__main__":
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1):
                os.dup2(nothing, descriptor)
            sys.argv = ["tools.train", *json.loads(line)]
            run(main)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitpid(pid, 0)[1]}\n")
        sys.stdout.flush()
