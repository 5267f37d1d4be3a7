"""`python -m gateway.workers DESCRIPTOR`: started by the daemon, never by hand."""

import sys

from gateway.workers.worker import main

main(int(sys.argv[1]))
