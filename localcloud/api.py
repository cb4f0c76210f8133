# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS API: moto in process, with hooks by which the other parts refuse, answer or react to a call.

    def refuse(call: Call) -> None: raise ApiError("InvalidParameterValue", "…")
    def react(call: Call, result: dict[str, Any]) -> dict[str, Any] | None: …

    api.hooks.register("rds", "CreateDBInstance", before=refuse, after=react)

`call.parameters` and `result` look as in boto3. A call and its hooks run under `api.lock`, so that nobody sees moto's
state half-way; whoever touches `api.backends(…)` from another thread takes the same lock. A hook must therefore be
quick, and must not call the API over HTTP: longer work belongs in a thread of its own.

`api.guards` see every call before its hooks, whatever the operation, and may refuse it in the same way.
`api.listeners` hear of every call that succeeded, after its hooks.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from moto.backends import get_backend
from moto.core.exceptions import ServiceException
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from localcloud import settings
from localcloud.wire import (
    Answer,
    ApiError,
    Call,
    identify,
    is_write,
    parse_result,
    render_error,
    render_result,
    signed_scope,
)

log = logging.getLogger(__name__)

Before = Callable[[Call], None]
Instead = Callable[[Call], Mapping[str, Any]]
After = Callable[[Call, dict[str, Any]], Mapping[str, Any] | None]
Listener = Callable[[Call], None]
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

OWN_PREFIX = "/_localcloud/"
STOP_POLL_SECONDS = 0.05
# These wait: moto for a message (long polling), ours for a function's end, which calls the API itself. Holding the lock
# meanwhile would stop everybody else.
WAITING_CALLS = frozenset({"lambda.Invoke", "sqs.ReceiveMessage"})
TEMPORARY_KEY_PREFIX = "ASIA"
USER_KEY_PREFIX = "AKIA"
UNKNOWN = b"AccessDenied: not an operation that botocore knows, so that no policy can have allowed it\n"


@dataclass(frozen=True)
class Hook:
    """Reactions to one operation, all optional.

    before  may refuse by raising ApiError
    instead answers in moto's place: returns the result as boto3 shows it, or raises ApiError
    after   sees the result of a call that succeeded; what it returns, if anything, replaces that result
    """

    before: Before | None = None
    instead: Instead | None = None
    after: After | None = None


class Hooks:
    """Who reacts to which operation."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Hook]] = {}

    def register(
        self,
        service: str,
        action: str,
        *,
        before: Before | None = None,
        instead: Instead | None = None,
        after: After | None = None,
    ) -> None:
        """Register for an operation by botocore's names, e.g. ("rds", "CreateDBInstance"). Hooks run in this order."""
        self._hooks.setdefault(f"{service}.{action}", []).append(Hook(before, instead, after))

    def of(self, call: Call) -> list[Hook]:
        return self._hooks.get(call.name, [])


class Calls:
    """How often each operation was called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counter: Counter[tuple[str, bool]] = Counter()

    def count(self, call: Call) -> None:
        with self._lock:
            self._counter[call.name, is_temporary(call.access_key)] += 1

    def reset(self) -> None:
        with self._lock:
            self._counter.clear()

    def as_dict(self, *, writes_only: bool = False, hosts_only: bool = False) -> dict[str, int]:
        """Operation → calls; hosts_only counts those signed with keys that the metadata service handed out."""
        with self._lock:
            counted = sorted(self._counter.items())
        chosen: Counter[str] = Counter()
        for (name, temporary), n in counted:
            if (temporary or not hosts_only) and (not writes_only or is_write(name.partition(".")[2])):
                chosen[name] += n
        return dict(chosen)


class Api:
    """The API's server and everything that the other parts need of it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hooks = Hooks()
        self.guards: list[Before] = []
        self.listeners: list[Listener] = []
        self.calls = Calls()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._mounted: dict[str, Application] = {
            "health": self._serve_health,
            "calls": self._serve_calls,
        }
        self._ready = threading.Event()
        self._server: Any = None

    # --- for the other parts ------------------------------------------------------------------------------------

    @staticmethod
    def backends(service: str) -> Any:
        """moto's backend of a service in our account and region. Hold `lock` while using it outside a hook."""
        by_region = get_backend(service)[settings.ACCOUNT_ID]
        return by_region[settings.REGION if settings.REGION in by_region else "aws"]

    def mount(self, name: str, application: Application) -> str:
        """Serve a WSGI application beside the API; returns its path (without trailing slash)."""
        self._mounted[name] = application
        return f"{OWN_PREFIX}{name}"

    def ready(self) -> None:
        """The whole cloud is up: say so under /_localcloud/health."""
        self._ready.set()

    def start(self) -> None:
        self._server = make_server(
            settings.API_HOST, settings.API_PORT, self, threaded=True, request_handler=_QuietRequestHandler
        )
        threading.Thread(target=self._server.serve_forever, args=[STOP_POLL_SECONDS], name="api", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    # --- WSGI ---------------------------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        # moto makes URLs (of queues) of how it was asked, and the front asks it in plain HTTP.
        if forwarded := environ.get("HTTP_X_FORWARDED_PROTO"):
            environ["wsgi.url_scheme"] = forwarded
        if path.startswith(OWN_PREFIX):
            name, _, rest = path[len(OWN_PREFIX) :].partition("/")
            application = self._mounted.get(name)
            if application is None:
                return _send(start_response, _json(HTTPStatus.NOT_FOUND, {"error": f"there is no {path}"}))
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"{OWN_PREFIX}{name}", f"/{rest}"
            return application(environ, start_response)
        body = _read_body(environ)
        call = identify(environ, body)
        if call is None:
            if _is_limited(environ):
                return _send(start_response, Answer(HTTPStatus.FORBIDDEN, [("Content-Type", "text/plain")], UNKNOWN))
            with self.lock:
                return _send(start_response, self._ask_moto(environ))
        self.calls.count(call)
        with self._lock_for(call):
            answer = self._answer(call, environ)
        return _send(start_response, answer)

    def _lock_for(self, call: Call) -> AbstractContextManager[Any]:
        return nullcontext() if call.name in WAITING_CALLS else self.lock

    def _answer(self, call: Call, environ: Environ) -> Answer:
        hooks = self.hooks.of(call)
        try:
            for guard in self.guards:
                guard(call)
            for hook in hooks:
                if hook.before:
                    hook.before(call)
            instead = next((hook.instead for hook in hooks if hook.instead), None)
            answer = render_result(call, instead(call)) if instead else self._ask_moto(environ)
            if not answer.succeeded:
                return answer
            for hook in hooks:
                if hook.after:
                    replaced = hook.after(call, parse_result(call, answer))
                    answer = answer if replaced is None else render_result(call, replaced)
            for listener in self.listeners:
                listener(call)
            return answer
        except (ApiError, ServiceException) as error:
            return render_error(call, error)
        except Exception as error:
            log.exception("%s failed", call.name)
            return render_error(call, ApiError("InternalFailure", f"{call.name}: {error!r}", 500))

    def _ask_moto(self, environ: Environ) -> Answer:
        body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        return Answer(int(status.split()[0]), list(headers), b"".join(body))

    # --- the API's own pages ------------------------------------------------------------------------------------

    def _serve_health(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._ready.is_set():
            return _send(start_response, _json(HTTPStatus.OK, {"status": "ready"}))
        return _send(start_response, _json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "starting"}))

    def _serve_calls(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/reset":
            if environ["REQUEST_METHOD"] != "POST":
                return _send(start_response, _json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "reset wants POST"}))
            self.calls.reset()
        query = parse_qs(environ.get("QUERY_STRING", ""))
        chosen = self.calls.as_dict(writes_only=query.get("writes") == ["1"], hosts_only=query.get("hosts") == ["1"])
        return _send(start_response, _json(HTTPStatus.OK, chosen))


class _QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc]
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        log.debug("%s %s %s", self.command, self.path, code)

    def log(self, type: str, message: str, *args: Any) -> None:
        log.log(logging.ERROR if type == "error" else logging.DEBUG, message, *args)


def is_temporary(access_key: str) -> bool:
    """Whether a key belongs to a role's session, as those of the metadata service do."""
    return access_key.startswith(TEMPORARY_KEY_PREFIX)


def is_limited(access_key: str) -> bool:
    """Whether a key is somebody's whom policies limit: a role's or a user's, and not the account's owner's."""
    return is_temporary(access_key) or access_key.startswith(USER_KEY_PREFIX)


def _is_limited(environ: Environ) -> bool:
    scope = signed_scope(environ)
    return scope is not None and is_limited(scope[0])


def _read_body(environ: Environ) -> bytes:
    """Read the request's body once and leave it readable for moto."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        body: bytes = environ["wsgi.input"].read(int(length))
    elif environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read()
    else:
        body = b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def _json(status: HTTPStatus, content: Mapping[str, Any]) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(content).encode())


def _send(start_response: StartResponse, answer: Answer) -> Iterator[bytes]:
    headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
    start_response(
        f"{answer.status} {HTTPStatus(answer.status).phrase}", [*headers, ("Content-Length", str(len(answer.body)))]
    )
    return iter([answer.body])
