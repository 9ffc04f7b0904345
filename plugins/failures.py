"""Shows the site's error page when one of its own pages fails.

Datasette 0.65 catches what its views raise, but not what a template under pages/ raises: the reader would get
the server's bare "Internal Server Error".
"""

from collections.abc import Callable
from typing import Any

from datasette import handle_exception, hookimpl
from datasette.plugins import pm
from datasette.utils import await_me_maybe
from datasette.utils.asgi import Request

# Wherever rich happens to be installed, as it is with the tools of the tests, Datasette prints every 404 as a traceback
# with all locals: a second each.
handle_exception.rich = None


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
