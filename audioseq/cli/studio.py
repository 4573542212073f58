"""``audioseq studio``: hear it, see it, edit it, in the browser."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "studio"]

PORT = 8765
FOLDER = "runs/studio"


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    about = "listen, teach, compose and transcribe in the browser, on this machine alone"
    parser = common.add_command(commands, "studio", studio, about)
    parser.add_argument("--port", type=port, default=PORT, metavar="N", help=f"default {PORT}, or the next free one")
    parser.add_argument("--model", nargs="+", default=[], metavar="FILE", help="models of yours, beside the bundled")
    parser.add_argument("--work", default=FOLDER, metavar="DIR", help="where recordings and models are kept")
    parser.add_argument("--no-browser", action="store_true", help="print the address alone")


def studio(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    missing = [name for name in ("starlette", "uvicorn", "websockets", "fastjsonschema") if not _there(name)]
    if missing:
        print(f'error: the studio needs {", ".join(missing)}: pip install "audioseq[studio]"', file=sys.stderr)
        return common.FAILED
    common.check_out_folder(args.work)
    from audioseq.files import FileError
    from audioseq.studio.desk import Desk
    from audioseq.studio.guard import kept_token
    from audioseq.studio.server import application, listening_socket, serve
    from audioseq.studio.shelf import Shelf

    for path in args.model:
        if not Path(path).is_file():
            raise FileError(path, "there is no such file")
    shelf, token = Shelf(args.model), kept_token(Path(args.work))
    at, chosen, moved = listening_socket(args.port)
    if moved:
        print(f"port {args.port} is taken; this is at {chosen}", file=sys.stderr)
    app = application(Desk(shelf, Path(args.work)), token, chosen)
    url = f"http://127.0.0.1:{chosen}/?token={token}"
    print(f"audioseq studio: {url}\nCtrl-C ends it. Recordings and models are kept in {args.work}", flush=True)
    shelf.start(common.load_tensorflow)
    if not args.no_browser:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    serve(app, at)
    return common.DONE


def _there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def port(text: str) -> int:
    """A port."""
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535. Received: {text!r}")
    return value
