# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: the embedded cloud, the whole of site.yml on it, one job through a worker that sleeps, and a summary.

The summary is printed and written to build/demo.json; docs/outputs.md describes its schema.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud import settings
from localcloud.direct import urlopen

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "demo.json"
DRILL_OUTPUT = ROOT / "build" / "drill.json"
API_PORT = 8000
HEALTH_TIMEOUT_SECONDS = 10


def main() -> int:
    """Run the demo; the exit status is that of the first step that failed."""
    started = time.monotonic()
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    for title, command in (
        ("Starting the embedded cloud", [sys.executable, "-m", "localcloud", "up"]),
        # Whoever interrupts a demo and begins it again is alone, and waits for no lock.
        ("Running site.yml on it", [playbook, "site.yml", "--extra-vars=deploy_break_lock=true"]),
        ("Sending one job through a worker that sleeps", [playbook, "playbooks/drill.yml"]),
    ):
        print(f"\n== {title}", flush=True)
        status = subprocess.run(command, cwd=ROOT, env=environment(os.environ), check=False).returncode
        if status:
            print(f"\n{title} failed (exit status {status}); the lines above say why. `make demo` continues.")
            return status
    summary = observe()
    summary["drill"] = [
        {"name": step["name"], "seconds": step["seconds"]}
        for step in json.loads(DRILL_OUTPUT.read_text(encoding="utf-8"))["steps"]
    ]
    summary["seconds"] = round(time.monotonic() - started)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print("\n".join(render(summary)))
    return 0 if summary["api"]["status"] == 200 else 1


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without anything that could lead a tool to a real account, or a call to a proxy.

    The locale is one that every machine has: Ansible does not start in one that is missing.
    """
    found = {name: value for name, value in inherited.items() if not name.startswith("AWS_")}
    found["LC_ALL"] = "C.UTF-8"
    if any(found.get(name) or found.get(name.upper()) for name in ("http_proxy", "https_proxy", "all_proxy")):
        excepted = found.get("no_proxy") or found.get("NO_PROXY") or ""
        found["no_proxy"] = found["NO_PROXY"] = ",".join([*filter(None, [excepted]), "127.0.0.1", "localhost"])
    return found


@cache  # Making one takes longer than most calls.
def client(service: str, url: str = settings.API_URL) -> Any:
    """A boto3 client of the embedded cloud, whatever the caller's AWS configuration says."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=settings.REGION,
        aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
        aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        config=Config(proxies={}),
    )


def observe() -> dict[str, Any]:
    """Ask the cloud and the API what is there; nothing is taken from the run that just ended."""
    hosts = [host_summary(instance) for instance in instances()]
    api = next((host for host in hosts if host["role"] == "api" and host["state"] == "running"), None)
    return {
        "api": api_summary(api["address"]) if api else {"url": None, "status": None, "health": None},
        "hosts": sorted(hosts, key=lambda host: str(host["name"])),
        "queues": queues(),
        "database": database(),
    }


def instances() -> list[dict[str, Any]]:
    """Every instance that is not on its way out."""
    pages = (
        client("ec2")
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}])
    )
    return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]


def host_summary(instance: dict[str, Any]) -> dict[str, Any]:
    """What a reader wants to know of one instance."""
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return {
        "name": tags.get("Name", instance["InstanceId"]),
        "role": tags.get("Role", ""),
        "instance_id": instance["InstanceId"],
        "instance_type": instance["InstanceType"],
        "state": instance["State"]["Name"],
        "address": instance.get("PrivateIpAddress"),
    }


def api_summary(address: str) -> dict[str, Any]:
    """Ask the API itself; a refused connection is an answer too (status null)."""
    url = f"http://{address}:{API_PORT}"
    try:
        with urlopen(f"{url}/health", timeout=HEALTH_TIMEOUT_SECONDS) as answer:
            return {"url": url, "status": answer.status, "health": json.load(answer)}
    except urllib.error.HTTPError as error:
        return {"url": url, "status": error.code, "health": None}
    except OSError as error:
        return {"url": url, "status": None, "health": None, "error": str(error)}


def queues() -> list[dict[str, Any]]:
    """Every queue with its visibility timeout and what waits in it."""
    sqs = client("sqs")
    found = []
    for url in sqs.list_queues().get("QueueUrls", []):
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        found.append(
            {
                "name": url.rsplit("/", 1)[-1],
                "visibility_timeout_seconds": int(attributes["VisibilityTimeout"]),
                "messages": int(attributes["ApproximateNumberOfMessages"]),
            }
        )
    return sorted(found, key=lambda queue: str(queue["name"]))


def database() -> dict[str, Any] | None:
    """The first (and in the demo only) database instance."""
    found = client("rds").describe_db_instances()["DBInstances"]
    if not found:
        return None
    instance = found[0]
    return {
        "identifier": instance["DBInstanceIdentifier"],
        "engine": f"{instance['Engine']} {instance['EngineVersion']}",
        "status": instance["DBInstanceStatus"],
        "endpoint": f"{instance['Endpoint']['Address']}:{instance['Endpoint']['Port']}",
    }


def render(summary: dict[str, Any]) -> list[str]:
    """The summary as lines for a terminal."""
    api, db = summary["api"], summary["database"]
    lines = ["", f"== academy runs on the embedded cloud ({summary['seconds']} s)", ""]
    lines += [f"  API       {api['url']}/health  →  {api['status']} {json.dumps(api['health'])}"]
    lines += [
        f"  {'Host' if not index else '':<9} {host['name']:<28} {host['instance_type']:<11} {host['state']:<8} "
        f"{host['address']}"
        for index, host in enumerate(summary["hosts"])
    ]
    lines += [
        f"  {'Queue' if not index else '':<9} {queue['name']:<28} visibility {queue['visibility_timeout_seconds']} s, "
        f"{queue['messages']} waiting"
        for index, queue in enumerate(summary["queues"])
    ]
    if db:
        lines += [f"  Database  {db['identifier']:<28} {db['engine']}, {db['status']}, {db['endpoint']}"]
    lines += [f"  {'One job' if not index else '':<9} {step['name']:<10} after {step['seconds']:>6.1f} s"
              for index, step in enumerate(summary["drill"])]  # fmt: skip
    return [
        *lines,
        "",
        "  Try next:",
        "    make demo                                        again: nothing changes",
        "    .venv/bin/ansible-playbook site.yml --tags swap  one part alone; add --check --diff to look first",
        '    eval "$(.venv/bin/python -m localcloud env)"     then any AWS tool talks to this cloud',
        "    make down                                        remove everything again",
        f"\n  The same as JSON: {OUTPUT.relative_to(ROOT)}",
    ]


if __name__ == "__main__":
    sys.exit(main())
