# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in which a function runs: one invocation after another, each a line of JSON, each answered by one.

python -I function_process.py <directory of the code> <handler> <descriptor for answers>

What the function prints is its log. Ends with its standard input, so that it never outlives the cloud. Imports nothing
of the cloud: this is the function's own process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any


class Context:
    """What Lambda hands a handler beside the event."""

    def __init__(self, request_id: str, function_arn: str, deadline: float) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


def answer(handler: str, request: dict[str, Any]) -> dict[str, Any]:
    """The handler's result, or its error as Lambda tells it."""
    module, _, function = handler.rpartition(".")
    try:
        call = getattr(importlib.import_module(module), function)
        return {"result": json.loads(json.dumps(call(request["event"], Context(**request["context"]))))}
    except Exception as error:
        traceback.print_exc()
        return {
            "error": {
                "errorMessage": str(error),
                "errorType": type(error).__name__,
                "requestId": request["context"]["request_id"],
                "stackTrace": traceback.format_tb(error.__traceback__),
            }
        }


def main(directory: str, handler: str, descriptor: int) -> None:
    sys.path.insert(0, directory)
    with os.fdopen(os.dup(0)) as requests, os.fdopen(descriptor, "w") as answers:
        # The function itself has no input.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for line in requests:
            content = answer(handler, json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            print(json.dumps(content), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
