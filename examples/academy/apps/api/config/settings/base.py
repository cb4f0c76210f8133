# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API and the workers share. The variables and their meaning are those of the deployment guide, section 10."""

import os

from apps.api.config.environment import Environment

environment = Environment(os.environ)

SECRET_KEY = environment.text("SECRET_KEY")
DEBUG = environment.boolean("DEBUG", default=False)

# Baked into the image when it is built, so that an answer tells which build gave it.
RELEASE = environment.text("RELEASE", "development")

INSTALLED_APPS = ["apps.jobs", "apps.lectures"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": environment.text("DB_HOST"),
        "PORT": environment.integer("DB_PORT", 5432),
        "NAME": environment.text("DB_NAME"),
        "USER": environment.text("DB_USER"),
        "PASSWORD": environment.text("DB_PASSWORD"),
        "CONN_MAX_AGE": environment.integer("DB_CONN_MAX_AGE", 60),
        # A connection that outlived a restart of the database is noticed before a request fails on it.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # RDS refuses plain connections from PostgreSQL 15 on.
            "sslmode": environment.text("DB_SSLMODE", "require"),
            "connect_timeout": 5,
        },
    }
}

# Videos and documents live in Cloudflare R2.
R2_ACCESS_KEY = environment.text("R2_ACCESS_KEY")
R2_SECRET_KEY = environment.text("R2_SECRET_KEY")
R2_ENDPOINT = environment.text("R2_ENDPOINT")
R2_PUBLIC_BASE_URL = environment.text("R2_PUBLIC_BASE_URL")
R2_AI_BUCKET = environment.text("R2_AI_BUCKET")
R2_VIDEO_BUCKET = environment.text("R2_VIDEO_BUCKET")
R2_EXCEL_BUCKET = environment.text("R2_EXCEL_BUCKET")

AWS_REGION = environment.text("AWS_REGION")
VIDEO_SQS_QUEUE_NAME = environment.text("VIDEO_SQS_QUEUE_NAME")
MESSAGING_SQS_QUEUE_NAME = environment.text("MESSAGING_SQS_QUEUE_NAME")
AI_SQS_QUEUE_NAME_LITE = environment.text("AI_SQS_QUEUE_NAME_LITE")
AI_SQS_QUEUE_NAME_BASIC = environment.text("AI_SQS_QUEUE_NAME_BASIC")
AI_SQS_QUEUE_NAME_PREMIUM = environment.text("AI_SQS_QUEUE_NAME_PREMIUM")

# The name of each kind of job, and the queue it waits in.
JOB_QUEUES = {
    "video": VIDEO_SQS_QUEUE_NAME,
    "messaging": MESSAGING_SQS_QUEUE_NAME,
    "ai-lite": AI_SQS_QUEUE_NAME_LITE,
    "ai-basic": AI_SQS_QUEUE_NAME_BASIC,
    "ai-premium": AI_SQS_QUEUE_NAME_PREMIUM,
}

# Workers report to the API with this token, at this address.
INTERNAL_WORKER_TOKEN = environment.text("INTERNAL_WORKER_TOKEN")
api_url = environment.url("API_BASE_URL")
API_BASE_URL = api_url.geturl()

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"},
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
}
