"""The HTTP client all collectors share: one place that says what an answer means and how long to wait.

`classify` is the only function that judges an answer, for every source. `Client` asks, one request at a time:
it keeps the pace of a host, waits at least as long as it was told (and a second more), tries again what may
work, and stops when the budget of its source is spent. Nothing is cached: a cached answer would hide a
deletion.

A *lane* is what a told wait applies to: a bucket of GitHub, a method of Stack Exchange, else the host.
"""

import email.utils
import json as jsonlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
import stamina
from requests.adapters import HTTPAdapter

from flywheel.clean import scrub

log = logging.getLogger("flywheel.collect")

Meaning = Literal["ok", "transient", "wait", "auth", "caller", "gone", "moved"]

MAX_BODY = 20 * 1024 * 1024
MAX_SECONDS = 180.0  # for one answer as a whole: a body that drips would otherwise pass every read timeout
TRIES = 4  # of a request that fails in passing: 1, 2 and 4 s apart, plus jitter
LONGEST_BACKOFF = 60.0
LONGEST_TOLD = 30 * 86400.0  # a longer wait is a mistake of the server's
UNTOLD_WAIT = 60.0  # told to wait but not how long; doubles each time
MARGIN = 1.0  # on top of every told wait
WAITS = 10  # in a row for one request, however short
REDIRECTS = 3


class Clock(Protocol):
    """Time as the client sees it; tests bring their own."""

    def now(self) -> float: ...  # UTC seconds; may jump
    def monotonic(self) -> float: ...  # seconds; never jumps
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


# --- what an answer means ----------


@dataclass(frozen=True, slots=True)
class Outcome:
    meaning: Meaning
    reason: str = ""
    wait: float | None = None  # seconds, as told; None: told to wait, but not how long
    after_ok: float | None = None  # an answer that is fine, with a wait before the next request in its lane
    data: Any = None  # the parsed body


_TRANSIENT = frozenset((408, 500, 502, 503, 504, *range(520, 525)))
_GONE = frozenset((404, 410, 451))
_AUTH_NAMES = frozenset(
    ("invalid_key", "key_required", "access_token_required", "invalid_access_token", "access_denied")
)
_LIMIT_WORDS = re.compile(r"rate limit|abuse detection|too many requests|slow ?down", re.IGNORECASE)
_SECONDS = re.compile(r"(\d{1,7}) seconds?")


def classify(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Outcome:
    """What one answer means. Pure; each rule comes from the API's documentation or a recorded answer. `now`
    (UTC seconds) is used only where a told moment comes without the `Date` of the answer to compare it with.

    Order: signs of a limit come before the status, since limits arrive as 403, 429, 400, 500 and 200.
    """
    head = {name.lower(): value for name, value in headers.items()}
    server_now = _http_date(head.get("date", ""))
    now = now if server_now is None else server_now
    parsed, data = _parse(body)
    message = scrub(_message(data) or _plain(body))[:200]
    reason = f"HTTP {status}" + (f": {message}" if message else "")

    if (limit := _limit(status, head, data, message, now)) is not None:
        return Outcome("wait", reason, wait=limit.seconds)
    if status in _TRANSIENT:
        return Outcome("transient", reason)
    if status == 401 or (isinstance(data, dict) and data.get("error_name") in _AUTH_NAMES):
        return Outcome("auth", reason)
    if status in (301, 302, 303, 307, 308):
        return Outcome("moved", head.get("location") or (data.get("url", "") if isinstance(data, dict) else ""))
    if status in _GONE:
        return Outcome("gone", reason)
    if status == 403:
        return Outcome("auth", reason)
    if status == 304:
        return Outcome("ok", reason)
    if 400 <= status < 500:
        return Outcome("caller", reason)
    if status >= 500 or not 200 <= status < 300:
        return Outcome("transient", reason)
    if not parsed:
        # 200 with nothing, with HTML, or with half of the JSON: never an empty result.
        return Outcome("transient", f"HTTP {status} with a body that is not JSON ({len(body)} bytes)")
    if (
        isinstance(data, dict)
        and isinstance(data.get("grouped_search_result"), dict)
        and data["grouped_search_result"].get("error")
    ):
        return Outcome("transient", f"HTTP {status}: the search is overloaded")
    return Outcome("ok", reason, after_ok=_wait_after(head, data, now), data=data)


def _parse(body: bytes) -> tuple[bool, Any]:
    try:
        return True, jsonlib.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False, None


def _message(data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    for name in ("error_message", "message", "error"):
        if isinstance(data.get(name), str):
            return str(data[name])
    errors = data.get("errors")
    if isinstance(errors, list):
        return "; ".join(str(e.get("message", "") if isinstance(e, dict) else e) for e in errors[:3])
    return ""


def _plain(body: bytes) -> str:
    text = re.sub(r"<[^>]{0,500}>|\s+", " ", body[:600].decode("utf-8", "replace"))
    return re.sub(r" +", " ", text).strip()


class _Limit:
    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds


def _limit(status: int, head: Mapping[str, str], data: Any, message: str, now: float) -> "_Limit | None":
    body = data if isinstance(data, dict) else {}
    told = _told(head, body, message, now)
    if status == 429:
        return _Limit(told)
    if status == 403 and (
        "retry-after" in head or head.get("x-ratelimit-remaining") == "0" or _LIMIT_WORDS.search(message)
    ):
        return _Limit(told)
    if status == 503 and "retry-after" in head:
        return _Limit(told)
    if status == 400 and (body.get("error_name") == "throttle_violation" or body.get("error") == "rate_limit_error"):
        return _Limit(told)
    if isinstance(body.get("extras"), dict) and body.get("error_type") == "rate_limit":
        return _Limit(told)
    errors = body.get("errors")
    if status == 200 and isinstance(errors, list):  # GraphQL
        if any(isinstance(e, dict) and e.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for e in errors):
            return _Limit(told)
        if any(isinstance(e, dict) and "secondary rate limit" in str(e.get("message")) for e in errors):
            return _Limit(told)
    return None


def _told(head: Mapping[str, str], body: Mapping[str, Any], message: str, now: float) -> float | None:
    """The longest wait any part of the answer speaks of, in seconds."""
    told = [retry_after(head, now)]
    if head.get("x-ratelimit-remaining") == "0":
        told.append(_until_reset(head, now))
    extras = body.get("extras")
    for value in (extras.get("wait_seconds") if isinstance(extras, dict) else None, body.get("backoff")):
        if isinstance(value, int | float) and not isinstance(value, bool):
            told.append(float(value))
    if match := _SECONDS.search(message):
        told.append(float(match[1]))
    numbers = [seconds for seconds in told if seconds is not None]
    return max(numbers) if numbers else None


def _wait_after(head: Mapping[str, str], data: Any, now: float) -> float | None:
    """A wait that a good answer asks for before the next one: `backoff`, or a bucket that is now empty."""
    waits = []
    backoff = data.get("backoff") if isinstance(data, dict) else None
    if isinstance(backoff, int | float) and not isinstance(backoff, bool) and backoff > 0:
        waits.append(float(backoff))
    remaining = head.get("x-ratelimit-remaining", "")
    if re.fullmatch(r"0(\.0*)?", remaining) and (reset := _until_reset(head, now)) is not None:
        waits.append(reset)
    return max(waits) if waits else None


def retry_after(head: Mapping[str, str], now: float) -> float | None:
    """`Retry-After` in seconds: a number or a date. A date is seen against the `Date` of the same answer, so
    that a wrong clock here changes nothing."""
    value = head.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    at = _http_date(value)
    return None if at is None else max(0.0, at - now)


def _until_reset(head: Mapping[str, str], now: float) -> float | None:
    value = head.get("x-ratelimit-reset", "").strip()
    if not re.fullmatch(r"\d{1,12}(\.\d+)?", value):
        return None
    number = float(value)
    if number < 1_000_000:  # Reddit gives seconds, GitHub a time of day
        return number
    return max(0.0, number - now)


def _http_date(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# --- what a collector sees when there is no answer ----------


class CollectError(Exception):
    """Base of everything below; its text holds no secret."""


class UnavailableError(CollectError):
    """It failed in passing, four times: the window is incomplete, the next run asks again."""


class AuthError(CollectError):
    """The source refuses us: it stops, and someone must look at the credentials."""


class CallerError(CollectError):
    """The request was wrong; asking again would not help."""


class NotThereError(CollectError):
    """404, 410, 451, or moved to a place that may not be followed."""


class BudgetError(CollectError):
    """The budget is spent, by requests or by waiting. The source goes on at `resume_after` (UTC seconds)."""

    def __init__(self, reason: str, resume_after: float) -> None:
        super().__init__(reason)
        self.resume_after = resume_after


class _TryAgain(Exception):  # noqa: N818 - control flow between the client and stamina
    pass


# --- the client ----------


@dataclass(slots=True)
class Budget:
    """What one source may spend in one run."""

    requests: int = 1000
    wait: float = 900.0  # seconds of told waits and of waits between tries; keeping the pace is not counted
    asked: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    data: Any
    headers: Mapping[str, str]
    url: str
    moved: bool = False  # the answer came from another address of the same host

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The data where an object was asked for."""
        if not isinstance(self.data, dict):
            raise UnavailableError(f"{shown(self.url)}: an object was asked for and something else came")
        return self.data


@dataclass(slots=True)
class _Lane:
    free_at: float = float("-inf")  # monotonic
    why: str = ""


ToldHook = Callable[[str, float, str], None]


@dataclass(slots=True)
class Client:
    """Asks one source. `pace` is the least time between two requests to a host, in seconds. `told` is called
    with (lane, UTC seconds, reason) as soon as a wait is known, so that it outlives this process."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    pace: float = 1.0
    budget: Budget = field(default_factory=Budget)
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = lambda: 0.25
    timeout: tuple[float, float] = (5.0, 30.0)
    told: ToldHook = lambda lane, until, why: None
    _session: requests.Session = field(default_factory=requests.Session, repr=False)
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _next_at: dict[str, float] = field(default_factory=dict)
    server_now: float | None = None  # the latest `Date` any answer carried

    def __post_init__(self) -> None:
        # Only one layer tries again: this one.
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))
        # Keeps requests from looking up credentials in .netrc, which would replace our header.
        self._session.auth = lambda request: request
        self._session.headers.update({"Accept": "application/json", **self.headers})

    def get(
        self,
        base_url: str,
        path: str,
        params: Mapping[str, str | int] | Iterable[tuple[str, str | int]] = (),
        lane: str = "",
        moves_to: tuple[str, ...] = (),
        pace: float | None = None,
    ) -> Answer:
        """Answer of GET `base_url` + `path`. `path` may carry its own query (a page the source named). A redirect is
        followed on the same host, or onto `base_url` where its path begins with one of `moves_to`. `pace` may let a
        host be asked more often than the source as a whole."""
        pairs = list(params.items() if isinstance(params, Mapping) else params)
        return self._ask("GET", base_url, path, pairs, None, lane, moves_to, pace)

    def post(self, base_url: str, path: str, body: Mapping[str, Any], lane: str = "") -> Answer:
        """Answer of POST with a JSON body (GraphQL: a question, nothing is changed by it)."""
        return self._ask("POST", base_url, path, [], body, lane, (), None)

    def wait_told(self, lane: str, seconds: float, why: str) -> None:
        """Notes a wait: no request goes out in this lane before it is over."""
        seconds = min(seconds, LONGEST_TOLD)
        until = self.clock.monotonic() + seconds + MARGIN
        seat = self._lanes.setdefault(lane, _Lane())
        if until > seat.free_at:
            seat.free_at, seat.why = until, why
            self.told(lane, self.clock.now() + seconds + MARGIN, why)

    def resume(self, lane: str, seconds: float, why: str) -> None:
        """Takes over a wait that an earlier run was told (`seconds` are what is left of it)."""
        self._lanes[lane] = _Lane(self.clock.monotonic() + seconds, why)

    def before_request(self, host: str, lane: str = "", pace: float | None = None) -> None:
        """Sleeps until a request may go out, and counts it. Raises BudgetError where the budget does not
        allow it."""
        if self.budget.asked >= self.budget.requests:
            raise BudgetError(f"budget of {self.budget.requests} requests is spent", self.clock.now())
        seat = self._lanes.get(lane, _Lane())
        told = max(0.0, seat.free_at - self.clock.monotonic())
        if told > self.budget.wait - self.budget.waited:
            raise BudgetError(
                f"told to wait {told:.0f} s ({seat.why}), more than the budget allows",
                self.clock.now() + told,
            )
        self.budget.waited += told
        self._sleep_until(max(seat.free_at, self._next_at.get(host, float("-inf"))))
        self._next_at[host] = self.clock.monotonic() + (self.pace if pace is None else min(pace, self.pace))
        self.budget.asked += 1

    def _sleep_until(self, moment: float) -> None:
        while (left := moment - self.clock.monotonic()) > 0:
            self.clock.sleep(left)

    def _ask(
        self,
        method: str,
        base_url: str,
        path: str,
        params: list[tuple[str, str | int]],
        body: Mapping[str, Any] | None,
        lane: str,
        moves_to: tuple[str, ...],
        pace: float | None,
    ) -> Answer:
        url = base_url.rstrip("/") + path
        moved = False
        for _ in range(REDIRECTS + 1):
            outcome, headers = self._until_answered(method, url, params, body, lane, pace)
            if outcome.meaning != "moved":
                return Answer(outcome.data, headers, url, moved)
            url = _follow(url, base_url, outcome.reason, moves_to)
            params, moved = [], True
        raise NotThereError(f"{shown(url)}: more than {REDIRECTS} redirects")

    def _until_answered(
        self,
        method: str,
        url: str,
        params: list[tuple[str, str | int]],
        body: Mapping[str, Any] | None,
        lane: str,
        pace: float | None,
    ) -> tuple[Outcome, Mapping[str, str]]:
        failures = waits = 0
        lane = lane or urlsplit(url).netloc
        # Stamina counts and decides; the waiting itself is done in before_request, the one place that waits.
        for attempt in stamina.retry_context(
            on=lambda error: 0.0 if isinstance(error, _TryAgain) else False, attempts=None, timeout=None
        ):
            with attempt:
                self.before_request(urlsplit(url).netloc, lane, pace)
                outcome, headers = self._once(method, url, params, body)
                where = f"{method} {shown(url)}: {outcome.reason}"
                if outcome.meaning == "transient":
                    failures += 1
                    if failures >= TRIES:
                        raise UnavailableError(where)
                    pause = min(LONGEST_BACKOFF, 2.0 ** (failures - 1)) + self.jitter()
                    seat = self._lanes.setdefault(lane, _Lane())
                    seat.free_at = max(seat.free_at, self.clock.monotonic() + pause)
                    seat.why = outcome.reason
                    log.info("%s; again in %.1f s", where, pause)
                    raise _TryAgain
                if outcome.meaning == "wait":
                    waits += 1
                    untold = UNTOLD_WAIT * 2.0 ** (waits - 1)
                    self.wait_told(lane, untold if outcome.wait is None else outcome.wait, outcome.reason)
                    log.info("%s", where)
                    if waits >= WAITS:
                        left = self._lanes[lane].free_at - self.clock.monotonic()
                        raise BudgetError(f"{where}; told to wait {waits} times in a row", self.clock.now() + left)
                    raise _TryAgain
                if outcome.after_ok is not None:
                    self.wait_told(lane, outcome.after_ok, "asked for by a good answer")
                if outcome.meaning == "auth":
                    raise AuthError(where)
                if outcome.meaning == "caller":
                    raise CallerError(where)
                if outcome.meaning == "gone":
                    raise NotThereError(where)
        return outcome, headers

    def _once(
        self, method: str, url: str, params: list[tuple[str, str | int]], body: Mapping[str, Any] | None
    ) -> tuple[Outcome, Mapping[str, str]]:
        deadline = time.monotonic() + MAX_SECONDS
        try:
            with self._session.request(
                method,
                url,
                params=params,
                json=body,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                chunks, size = [], 0
                for chunk in response.iter_content(65536):
                    size += len(chunk)
                    if size > MAX_BODY:
                        return Outcome("caller", f"an answer over {MAX_BODY // 2**20} MB"), {}
                    if time.monotonic() > deadline:
                        return Outcome("transient", f"an answer that took over {MAX_SECONDS:.0f} s"), {}
                    chunks.append(chunk)
                self.server_now = _http_date(response.headers.get("Date", "")) or self.server_now
                return classify(
                    response.status_code, response.headers, b"".join(chunks), self.clock.now()
                ), response.headers
        except requests.RequestException as error:
            # Its text holds the address with its query; the class is enough.
            return Outcome("transient", type(error).__name__), {}


def shown(url: str) -> str:
    """An address for logs and reports: without user, query or fragment, which is where secrets travel."""
    parts = urlsplit(url)
    return scrub(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def _follow(url: str, base_url: str, location: str, moves_to: tuple[str, ...]) -> str:
    target = urlsplit(urljoin(url, location))
    here = urlsplit(url)
    if location and target.path.startswith(moves_to or ("\0",)):
        return rebased(base_url, location)
    if location and (target.scheme, target.netloc) == (here.scheme, here.netloc):
        return target.geturl()
    raise NotThereError(f"{shown(url)}: moved to another host")


def rebased(base_url: str, link: str) -> str:
    """A link that a source gave (a next page, a new place), on the host that the plan names."""
    parts = urlsplit(link)
    return base_url.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


class Redacting(logging.Filter):
    """Log filter: no secret pattern and none of `secrets` leaves the process."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if len(secret) >= 6]

    def filter(self, record: logging.LogRecord) -> bool:
        text = scrub(record.getMessage())
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        record.msg, record.args = text, ()
        return True
