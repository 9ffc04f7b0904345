"""Shows the site's error page when a page fails, and tells the reader's mistakes from ours.

Datasette 0.65 catches what its views raise, but not what a template under pages/ raises: the reader would get
the server's bare "Internal Server Error". And it says 500, "the server failed", of some addresses that are merely
wrong, such as a sort by a column that is not there, and of parameters it cannot make a number or JSON of.
"""

import traceback
from collections.abc import Callable
from typing import Any

from datasette import handle_exception as datasettes
from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.plugins import pm
from datasette.utils import await_me_maybe
from datasette.utils.asgi import BadRequest, Request
from datasette.views.base import DatasetteError

# Where rich is installed, Datasette paints every error with all local variables into the log, a mistyped query too:
# half a second in which nobody is served. The traceback of a real failure is logged all the same.
datasettes.rich = None

# Where Datasette reads the parameters of a request. What fails in there with one of these errors failed because of
# what the request said: our own pages never send it.
_READERS = ("datasette.views.", "datasette.filters", "datasette.facets", "datasette.renderer", "datasette.utils")
_MISREAD = (ValueError, KeyError, TypeError, IndexError, AttributeError)


def told_apart(exception: Exception) -> Any:
    """The exception to show in its place: the reader's mistakes as such, and without the script that Datasette adds."""
    interrupted = "SQL Interrupted"
    # As CSV, Datasette does not catch it.
    if isinstance(exception, QueryInterrupted) or getattr(exception, "title", None) == interrupted:
        return DatasetteError("This SQL took longer than it may. Ask for less at a time.", interrupted, status=400)
    if isinstance(exception, DatasetteError):
        if exception.status == 500:
            return DatasetteError(str(exception.message), exception.title, status=400)
    elif isinstance(exception, OverflowError) or "null character" in str(exception):
        return BadRequest("A value in this address is none that a database can hold.")
    elif isinstance(exception, _MISREAD):
        modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(exception.__traceback__)]
        ours_or_its = [name for name in modules if name.startswith(("datasette.", "flywheel.")) or name.endswith(".py")]
        if ours_or_its and ours_or_its[-1].startswith(_READERS):
            traceback.print_exception(exception)
            return BadRequest("A parameter of this address cannot be read.")
    return exception


@hookimpl(tryfirst=True)
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    shown = told_apart(exception)
    if shown is exception:
        return None
    return datasettes.handle_exception(datasette, request, shown)


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[Any], Any]:
    def wrap(app: Any) -> Any:
        async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
            started = False

            async def watched(message: dict[str, Any]) -> None:
                nonlocal started
                started = True
                await send(message)

            try:
                await app(scope, receive, watched)
            except Exception as exception:
                if started or scope["type"] != "http":
                    raise
                request = Request(scope, receive)
                answers = pm.hook.handle_exception(datasette=datasette, request=request, exception=exception)
                await (await await_me_maybe(answers[0])).asgi_send(send)

        return guarded

    return wrap
