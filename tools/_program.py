"""What every program does at its edges: one sentence and exit code 2 for bad input, never a traceback."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from instructions.errors import InputError


def run(main: Callable[[], None]) -> NoReturn:
    """Run a program; bad input ends with one sentence on stderr and exit code 2, Ctrl-C with 130.

    ``INSTRUCT_REID_DEBUG=1`` shows the traceback instead.
    """
    try:
        main()
    except (InputError, OSError) as error:
        if os.environ.get("INSTRUCT_REID_DEBUG"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
