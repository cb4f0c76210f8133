# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions really run: their own process, their role's keys, their log group."""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import support
from tests.unit.localcloud.functions.conftest import Cloud, archive


def test_a_function_answers_and_its_process_is_kept(cloud: Cloud) -> None:
    cloud.create(
        """
        import os
        calls = 0

        def handler(event, context):
            global calls
            calls += 1
            print("seen", event["n"])
            return {"calls": calls, "process": os.getpid(), "name": context.function_name}
        """
    )
    first, second = (cloud.result({"n": n}) for n in (1, 2))
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["process"] == second["process"] != os.getpid()
    assert first["name"] == "tried"
    lines = cloud.log()
    assert [line.split()[0] for line in lines] == ["START", "seen", "END", "REPORT"] * 2
    assert [line for line in lines if line.startswith("seen")] == ["seen 1", "seen 2"]


def test_the_log_comes_with_the_answer_to_whoever_asks(cloud: Cloud) -> None:
    cloud.create("def handler(event, context): print('안녕하세요')")
    assert "LogResult" not in cloud.invoke()
    assert "안녕하세요" in b64decode(cloud.invoke(LogType="Tail")["LogResult"]).decode()


def test_the_last_configuration_of_asynchronous_invocations_counts(cloud: Cloud) -> None:
    cloud.create("handler = None")
    functions, named = cloud.client("lambda"), {"FunctionName": "tried"}
    for retries in (2, 0):
        functions.put_function_event_invoke_config(**named, MaximumRetryAttempts=retries)
    assert functions.get_function_event_invoke_config(**named)["MaximumRetryAttempts"] == 0


def test_other_code_and_other_configuration_take_effect_at_once(cloud: Cloud) -> None:
    cloud.create("import os\ndef handler(event, context): return ['one', os.environ.get('WORD')]")
    functions = cloud.client("lambda")
    assert cloud.result() == ["one", None]
    functions.update_function_code(FunctionName="tried", ZipFile=archive("def handler(event, context): return 'two'"))
    assert cloud.result() == "two"
    functions.update_function_code(
        FunctionName="tried",
        ZipFile=archive("import os\ndef handler(event, context): return os.environ['WORD']"),
    )
    functions.update_function_configuration(FunctionName="tried", Environment={"Variables": {"WORD": "x"}})
    assert cloud.result() == "x"
    assert len(cloud.processes()) == 1


def test_an_error_is_told_and_logged_and_the_process_goes_on(cloud: Cloud) -> None:
    cloud.create("def handler(event, context): return 1 / event")
    failed = cloud.invoke(0)
    assert failed["FunctionError"] == "Unhandled"
    assert json.load(failed["Payload"])["errorType"] == "ZeroDivisionError"
    assert any("ZeroDivisionError: division by zero" in line for line in cloud.log())
    assert cloud.result(2) == 0.5


def test_a_function_that_takes_too_long_is_ended(cloud: Cloud) -> None:
    cloud.create(
        """
        import os, time

        def handler(event, context):
            print("process", os.getpid(), context.get_remaining_time_in_millis() <= 1000)
            time.sleep(event)
            return "in time"
        """,
        Timeout=1,
    )
    failed = cloud.invoke(60)
    assert "Task timed out after 1.00 seconds" in json.load(failed["Payload"])["errorMessage"]
    (line,) = [line for line in cloud.log() if line.startswith("process")]
    assert line.endswith("True")
    assert not Path(f"/proc/{line.split()[1]}").exists()
    assert cloud.result(0) == "in time"


def test_a_process_that_ends_is_an_error(cloud: Cloud) -> None:
    cloud.create("import os\ndef handler(event, context): os._exit(event) if event else None")
    assert "exit status 3" in json.load(cloud.invoke(3)["Payload"])["errorMessage"]
    assert cloud.result(0) is None


ASK_QUEUE = """
import boto3

def handler(event, context):
    return boto3.client("sqs").get_queue_url(QueueName="jobs")["QueueUrl"]
"""


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_it_may_what_its_role_may_and_nothing_else(cloud: Cloud) -> None:
    cloud.client("sqs").create_queue(QueueName="jobs")
    cloud.create(ASK_QUEUE)
    refused = json.load(cloud.invoke()["Payload"])["errorMessage"]
    assert "assumed-role/function/tried is not authorized to perform: sqs:GetQueueUrl" in refused
    cloud.allow({"Effect": "Allow", "Action": "sqs:GetQueueUrl", "Resource": "*"})
    assert cloud.result().endswith("/jobs")


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_without_the_right_to_write_them_its_lines_are_lost(cloud: Cloud) -> None:
    cloud.create("def handler(event, context): return 1", LoggingConfig={"LogGroup": "/academy/other"})
    cloud.client("logs").create_log_group(logGroupName="/academy/other")
    assert cloud.result() == 1
    assert cloud.client("logs").describe_log_streams(logGroupName="/academy/other")["logStreams"] == []


def test_invoked_as_an_event_it_runs_after_the_answer(cloud: Cloud) -> None:
    cloud.create("def handler(event, context): print('ran')")
    assert cloud.invoke(InvocationType="Event")["StatusCode"] == 202
    support.wait_until(lambda: "ran" in cloud.log(), "the function ran")
    assert cloud.invoke(InvocationType="DryRun")["StatusCode"] == 204


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_what_cannot_be_invoked_is_an_error(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloud.invoke()
    cloud.create("handler = None", Runtime="nodejs22.x")
    with pytest.raises(ClientError, match="only Python functions"):
        cloud.invoke()


def test_the_end_of_the_cloud_ends_a_function_that_runs(cloud: Cloud) -> None:
    cloud.create("import time\ndef handler(event, context): time.sleep(60)", Timeout=60)
    done: list[Any] = []
    caller = threading.Thread(target=lambda: done.append(cloud.functions.run("tried", None)))
    caller.start()
    support.wait_until(lambda: bool(cloud.functions._processes), "the function runs")
    cloud.functions.stop()
    caller.join(10)
    assert done[0].failed
