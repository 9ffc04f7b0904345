"""The process that serves the site: Datasette over one immutable file, behind a server that waits for nobody.

`datasette serve` would do the same but for three things it does not let one set: how long a client may take to send a
request, how long open answers hold up the end, and whose X-Forwarded-For is believed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Loaded again in each process of flywheel/own_sql.py, so what is heavy is imported where it is used.
from flywheel import serve

if TYPE_CHECKING:
    from datasette.app import Datasette


def datasette(root: Path, database: Path, inspected: Path | None = None) -> Datasette:
    """The site over a database. `inspected` is what `datasette inspect` wrote: with it no table is counted anew."""
    import yaml
    from datasette.app import Datasette

    return Datasette(
        files=[],
        immutables=[str(database)],
        inspect_data=json.loads(inspected.read_text(encoding="utf-8")) if inspected else None,
        metadata=yaml.safe_load((root / "metadata.yml").read_text(encoding="utf-8")),
        plugins_dir=str(root / "plugins"),
        template_dir=str(root / "templates"),
        static_mounts=[("static", str(root / "static"))],
        # As the command line reads them: here "off" would be a text, and so true.
        settings={name: False if value == "off" else value for name, value in serve.SETTINGS.items()},
        cors=True,
    )


def protocol() -> type[Any]:
    """uvicorn's own HTTP, minus patience: a connection on which no request gets whole is closed."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._look_again(None)

        def _look_again(self, before: Any) -> None:
            if self.transport.is_closing():
                return
            answering = self.cycle is not None and not self.cycle.response_complete
            # uvicorn's own timer runs while nothing at all has come; the first byte of a request stops it.
            waiting = not answering and self.timeout_keep_alive_task is None
            if waiting and before == (self.cycle,):
                self.transport.close()
                return
            self.loop.call_later(serve.REQUEST_SECONDS, self._look_again, (self.cycle,) if waiting else None)

    return Impatient


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flywheel.server", description="Serves the site.")
    parser.add_argument("root", type=Path)
    parser.add_argument("database", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--inspected", type=Path)
    chosen = parser.parse_args()

    import uvicorn

    # uvicorn answers what is open, then sends itself the signal again; without these the process would die of it
    # and leave its helpers behind.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        datasette(chosen.root, chosen.database, chosen.inspected).app(),
        host=chosen.host,
        port=chosen.port,
        http=protocol(),
        ws="none",
        proxy_headers=bool(serve.trusted_proxies()),
        forwarded_allow_ips=serve.trusted_proxies(),
        timeout_keep_alive=serve.IDLE_SECONDS,
        timeout_graceful_shutdown=serve.GOODBYE_SECONDS,
        server_header=False,
    )


if __name__ == "__main__":
    main()
