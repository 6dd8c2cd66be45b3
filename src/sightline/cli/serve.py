"""`sightline serve`: trained models over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli.plugins import Plugins
from sightline.core.precision import Precision

_FLAGS = {"timeout_s": "--timeout", "characters": "--max-characters", "new_tokens": "--max-new-tokens"}  # by limit


def serve(
    *runs: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Annotated[str | None, Parameter(env_var="SIGHTLINE_TOKEN")] = None,
    allowed_host: list[str] | None = None,
    queue: int = 256,
    batch_size: int = 64,
    wait_ms: float = 2.0,
    timeout: float = 30.0,
    body_mb: float = 8.0,
    max_characters: int = 20_000,
    max_new_tokens: int = 1024,
    connections: int = 512,
    precision: Precision | None = None,
    compiled: bool = False,
    compiled_beam: list[int] | None = None,
    device: str = "auto",
    plugin: Plugins = None,
) -> int:
    """Serve trained models over HTTP, with a page to try them in a browser.

    Only this machine can reach the server unless --host is set; then every client needs a token. The page is
    at /, the description of the API at /docs. SIGTERM or Ctrl-C ends the server: it accepts nothing more, answers what
    it has accepted, and stops. Needs `pip install 'sightline[serve]'`.

    Args:
        runs: Directories of runs, of models, or of comparisons, whose winners are used. A model's name is that of its
            directory.
        host: Address to listen on; 0.0.0.0: every address of the machine.
        port: Port to listen on; 0: any free port.
        token: Secret that every client must send; required beyond this machine. Prefer SIGHTLINE_TOKEN: others on the
            machine can read a command line.
        allowed_host: Another name that clients may call the server by, such as that of a proxy; can be repeated.
        queue: Maximum number of inputs that wait for a model; more are refused.
        batch_size: Maximum number of inputs computed together.
        wait_ms: Milliseconds that a batch waits for more inputs.
        timeout: Seconds after which a request is abandoned.
        body_mb: Maximum size of a request in megabytes.
        max_characters: Maximum number of characters of a text.
        max_new_tokens: Maximum number of tokens of an output.
        connections: Maximum number of open connections.
        precision: Precision of the matrix products of models that decode: float32, bf16 or int8; narrower is faster
            (int8 needs a CPU).
        compiled: Compile the decoding step for single inputs before the server is ready: takes about 20 s per model,
            once on this machine, then decoding is faster. Needs a C++ compiler and a CPU.
        compiled_beam: Also compile the steps of this beam width; can be repeated.
        device: auto, cpu, cuda or mps.
        plugin: Files, modules or names of plugins that the models need.
    """
    from sightline.cli.messages import messages, opened
    from sightline.core.errors import EnvironmentFault, InputError
    from sightline.core.settings import check_in_range

    if not runs:
        raise InputError("give the directory of a run to serve")
    try:
        from sightline.serve.guard import check_token
        from sightline.serve.limits import ServerLimits
        from sightline.serve.server import address_of, application, listening, run_server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sightline"):
            raise
        raise EnvironmentFault(f"serve needs {error.name}: pip install 'sightline[serve]'") from None

    check_in_range("--port", port, at_least=0, at_most=65535)
    check_in_range("--body-mb", body_mb, at_least=0.001)
    check_token(token, host)
    body_bytes = round(body_mb * (1 << 20))
    try:
        limits = ServerLimits(
            queue=queue,
            batch_size=batch_size,
            wait_ms=wait_ms,
            timeout_s=timeout,
            body_bytes=body_bytes,
            bodies_bytes=max(body_bytes, ServerLimits.bodies_bytes),
            characters=max_characters,
            new_tokens=max_new_tokens,
            connections=connections,
        )
    except InputError as error:
        key = error.where or ""
        raise InputError(str(error).removeprefix(f"{key}: "), where=_FLAGS.get(key, f"--{key}")) from None
    for beam in compiled_beam or ():
        check_in_range("--compiled-beam", beam, at_least=2, at_most=limits.beam)
    beams = sorted({1, *(compiled_beam or ())}) if compiled or compiled_beam else None
    tasks = [opened(run, device, plugin) for run in runs]
    options = {"allowed_hosts": allowed_host or (), "precision": precision, "compiled": beams}
    with messages():
        app = application(runs, tasks, limits, host=host, token=token, **options)
        listener = listening(host, port)
        print(f"serving at {address_of(host, listener)} (the API: /docs)", flush=True)
        return run_server(app, listener, limits)
