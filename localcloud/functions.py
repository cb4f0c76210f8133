# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lambda functions, run: moto keeps them and what they are configured to be, this runs their code.

One process per function, kept for its next invocation and replaced when code or configuration changed, as Lambda does.
It has the keys of the function's role and nothing else: IAM decides what it may do. Its log is written with them too.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda.exceptions import UnknownFunctionException

from localcloud import settings
from localcloud.api import Api
from localcloud.credentials import Credentials, issue
from localcloud.wire import ApiError, Call

log = logging.getLogger(__name__)

PROGRAM: Final = Path(__file__).with_name("function_process.py")
RENEWED_BEFORE_END: Final = timedelta(hours=1)
READ_BYTES: Final = 65536
KILL_SECONDS: Final = 5
LOG_TAIL_BYTES: Final = 4096
VERSION: Final = "$LATEST"


@dataclass(frozen=True)
class Function:
    """What a function is at this moment; equal ones can go on in the same process."""

    name: str
    arn: str
    role: str
    runtime: str
    handler: str
    timeout_seconds: int
    memory_mib: int
    log_group: str
    environment: tuple[tuple[str, str], ...]
    code_sha256: str
    code: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: what it returned or how it failed, as JSON, and what it printed."""

    payload: bytes
    failed: bool
    lines: tuple[str, ...]


class Functions:
    """Runs functions, for whoever invokes them through the API and for schedules."""

    def __init__(self, api: Api, directory: Path = settings.FUNCTIONS_DIR) -> None:
        self._api = api
        self._directory = directory
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._processes: dict[str, _Process] = {}
        self._ended = False
        api.hooks.register("lambda", "Invoke", instead=self._invoke)

    def start(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def stop(self) -> None:
        with self._lock:
            self._ended = True
            processes = list(self._processes.values())
        for process in processes:
            process.kill()  # and with it an invocation that goes on
            with self._lock_of(process.name):
                process.end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, name: str, event: Any) -> Outcome:
        """Invoke a function and wait for its end; one invocation of it at a time."""
        with self._lock_of(name):
            function, credentials = self._look(name)
            process = self._process(function, credentials)
            outcome = process.invoke(event)
            if not process.lives():
                process.end()
            return outcome

    # --- invoked through the API ----------------------------------------------------------------------------------

    def _invoke(self, call: Call) -> Mapping[str, Any]:
        """Runs without the API's lock, because the function calls the API."""
        event = _event(call.request.get_data())
        with self._api.lock:
            name = self._find(str(call.parameters["FunctionName"])).function_name
        match call.parameters.get("InvocationType", "RequestResponse"):
            case "DryRun":
                return {"StatusCode": 204, "Payload": b""}
            case "Event":
                threading.Thread(target=self._run_alone, args=[name, event], name=f"function-{name}").start()
                return {"StatusCode": 202, "Payload": b""}
        outcome = self.run(name, event)
        result = {"StatusCode": 200, "ExecutedVersion": VERSION, "Payload": outcome.payload}
        if outcome.failed:
            result["FunctionError"] = "Unhandled"
        if call.parameters.get("LogType") == "Tail":
            result["LogResult"] = b64encode("\n".join(outcome.lines).encode()[-LOG_TAIL_BYTES:]).decode()
        return result

    def _run_alone(self, name: str, event: Any) -> None:
        try:
            self.run(name, event)
        except Exception:
            log.exception("%s could not be invoked", name)

    # --- the function and its process -----------------------------------------------------------------------------

    def _find(self, name: str) -> Any:
        try:
            return self._api.backends("lambda").get_function(name)
        except UnknownFunctionException as error:
            raise ApiError("ResourceNotFoundException", f"Function not found: {name}", 404) from error

    def _look(self, name: str) -> tuple[Function, Credentials]:
        with self._api.lock:
            found = self._find(name)
            if found.package_type != "Zip" or not str(found.run_time).startswith("python"):
                raise ApiError("NotImplemented", f"{name}: only Python functions in a ZIP file run here", 501)
            function = Function(
                name=found.function_name,
                arn=found.function_arn,
                role=found.role,
                runtime=found.run_time,
                handler=found.handler,
                timeout_seconds=int(found.timeout),
                memory_mib=int(found.memory_size),
                log_group=found.logging_config["LogGroup"],
                environment=tuple(sorted(found.environment_vars.items())),
                code_sha256=found.code_sha_256,
                code=found.code_bytes,
            )
            return function, issue(self._api, function.role, function.name, datetime.now(UTC))

    def _process(self, function: Function, credentials: Credentials) -> _Process:
        known = self._processes.get(function.name)
        if known and known.serves(function):
            return known
        if known:
            known.end()
        process = _Process(function, credentials, self._directory, f"http://{settings.API_HOST}:{self._api.port}")
        with self._lock:
            if self._ended:
                process.end()
                raise ApiError("ServiceException", "The cloud is ending", 500)
            self._processes[function.name] = process
        return process

    def _lock_of(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


class _Process:
    """A function's process, its code, and the stream that it writes to in its log group."""

    def __init__(self, function: Function, credentials: Credentials, directory: Path, url: str) -> None:
        self.name = function.name
        self._function = function
        self._credentials = credentials
        self._log = _LogStream(function, credentials, url)
        with contextlib.ExitStack() as closing:
            code = closing.enter_context(tempfile.TemporaryDirectory(prefix=f"{function.name}-", dir=directory))
            with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
                archive.extractall(code)
            self._answers, answers = _pipe(closing)
            self._output, output = _pipe(closing)
            try:
                self._child = subprocess.Popen(
                    [sys.executable, "-I", "-u", str(PROGRAM), code, function.handler, str(answers)],
                    stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=[answers], cwd=code,
                    env=environment(function, credentials, self._log.stream, code, url), start_new_session=True,
                )  # fmt: skip
            finally:
                os.close(answers)
                os.close(output)
            closing.callback(self._close_input)
            self._closing = closing.pop_all()

    def serves(self, function: Function) -> bool:
        """Whether the next invocation can be this process's."""
        remaining = self._credentials.expires - datetime.now(UTC)
        return self.lives() and self._function == function and remaining > RENEWED_BEFORE_END

    def lives(self) -> bool:
        return self._child.poll() is None

    def _close_input(self) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(KILL_SECONDS)

    def end(self) -> None:
        """Kill it if it lives, and leave nothing of it behind. Not while it is invoked."""
        self.kill()
        self._closing.close()

    def invoke(self, event: Any) -> Outcome:
        request_id, started = str(uuid.uuid4()), time.time()
        timeout = self._function.timeout_seconds
        context = {"request_id": request_id, "function_arn": self._function.arn, "deadline": started + timeout}
        answer, output = self._ask({"event": event, "context": context}, timeout)
        milliseconds = (time.time() - started) * 1000
        used = self._memory_mib()
        if answer is None:
            error, said = self._failure(request_id, timeout)
            answer, output = {"error": error}, f"{output}{said}\n"
        lines = (
            f"START RequestId: {request_id} Version: {VERSION}",
            *output.splitlines(),
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {self._function.memory_mib} MB\tMax Memory Used: {used} MB",
        )
        self._log.write(lines)
        payload = json.dumps(answer.get("error", answer.get("result"))).encode()
        return Outcome(payload, "error" in answer, lines)

    def _ask(self, request: Mapping[str, Any], timeout: float) -> tuple[dict[str, Any] | None, str]:
        """The process's answer, nothing where there was none in time, and what it printed until then."""
        assert self._child.stdin is not None
        deadline = time.monotonic() + timeout
        received: dict[int, bytes] = {self._answers: b"", self._output: b""}
        try:
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            deadline = 0
        with selectors.DefaultSelector() as selector:
            for descriptor in received:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map() and b"\n" not in received[self._answers]:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                for key, _ in selector.select(remaining):
                    if not self._receive(key.fd, received):
                        selector.unregister(key.fd)
        # What was printed before the answer is there by now.
        while self._receive(self._output, received):
            pass
        answer = received[self._answers]
        printed = received[self._output].decode(errors="replace")
        return (json.loads(answer) if b"\n" in answer else None), printed

    @staticmethod
    def _receive(descriptor: int, received: dict[int, bytes]) -> bool:
        """Take what is there; False where there is nothing."""
        try:
            chunk = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        received[descriptor] += chunk
        return bool(chunk)

    def _failure(self, request_id: str, timeout: int) -> tuple[dict[str, str], str]:
        """Why there was no answer; such a process is not used again."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            status = self._child.wait(0.1)
        except subprocess.TimeoutExpired:
            self.kill()
            said = f"Task timed out after {timeout:.2f} seconds"
            return {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request_id} Error: {said}"}, (
                f"{moment} {request_id} {said}"
            )
        said = f"Runtime exited with error: exit status {status}"
        return {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {said}"}, (
            f"{moment} {request_id} {said}"
        )

    def _memory_mib(self) -> int:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="ascii")
            return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024
        return 0


class _LogStream:
    """Where one process's lines go, written with its own keys, as Lambda does."""

    def __init__(self, function: Function, credentials: Credentials, url: str) -> None:
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        self._group = function.log_group
        self.stream = f"{day}/{function.name}[{VERSION}]{uuid.uuid4().hex}"
        self._made = False
        # A session of its own: making clients of a shared one is not safe in threads.
        self._client = boto3.session.Session().client(
            "logs",
            endpoint_url=url,
            region_name=settings.REGION,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def write(self, lines: tuple[str, ...]) -> None:
        """Lines that cannot be written are lost, as Lambda's are."""
        named = {"logGroupName": self._group, "logStreamName": self.stream}
        now = int(time.time() * 1000)
        try:
            if not self._made:
                self._client.create_log_stream(**named)
                self._made = True
            self._client.put_log_events(
                **named, logEvents=[{"timestamp": now, "message": line or " "} for line in lines]
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("%s: the function's log is lost: %s", self._group, error)


def _pipe(closing: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe that is read without waiting; its other end is the caller's to close."""
    mine, others = os.pipe()
    closing.callback(os.close, mine)
    os.set_blocking(mine, False)
    return mine, others


def environment(function: Function, credentials: Credentials, log_stream: str, home: str, url: str) -> dict[str, str]:
    """All that the process sees of its surroundings: what Lambda sets, and where the API is."""
    return {
        **dict(function.environment),
        "HOME": home,
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_ENDPOINT_URL": url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "_HANDLER": function.handler,
    }


def _event(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise ApiError("InvalidRequestContentException", message, 400) from error
