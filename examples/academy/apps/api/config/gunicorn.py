# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn's settings; the names are gunicorn's own."""

import os

bind = "0.0.0.0:8000"

# Each thread keeps one database connection open: workers x threads of them count against max_connections.
workers = int(os.environ.get("WEB_CONCURRENCY", "4"))
threads = 2

# A missing variable stops the start once, in the parent, instead of once per worker.
preload_app = True

# Longer than a load balancer's idle timeout of 60 seconds: a connection that gunicorn closes first is a sporadic 502.
keepalive = 75

# Shorter than the time between "docker stop" and SIGKILL, so that running requests end before.
graceful_timeout = 20

# Heartbeat files in memory: the root file system may be read-only.
worker_tmp_dir = "/dev/shm"

# Standard output, where Docker's log driver takes it. Behind a load balancer the first address is the balancer's, the
# one in quotes the client's.
accesslog = "-"
access_log_format = '%(h)s "%({x-forwarded-for}i)s" "%(r)s" %(s)s %(b)s %(M)sms "%(a)s"'
