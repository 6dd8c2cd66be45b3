"""A server in a process of its own whose answers are larger than the buffers of a connection; it waits for few seconds.

python -m tests.serve.loud_server
"""

import sys
from pathlib import Path

from sightline.cli.messages import messages
from sightline.serve import server
from sightline.serve.limits import ServerLimits
from tests.serve.models import Loud

if __name__ == "__main__":
    server.READING_S = 0.5
    limits = ServerLimits(timeout_s=5.0, body_s=0.5)
    with messages():
        app = server.application([Path("loud")], [Loud()], limits)
        listener = server.listening("127.0.0.1", 0)
        print(server.address_of("127.0.0.1", listener), flush=True)
        sys.exit(server.run_server(app, listener, limits))
