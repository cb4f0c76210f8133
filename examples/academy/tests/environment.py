# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A complete environment, as a host's env file has it."""

COMPLETE = {
    "DJANGO_SETTINGS_MODULE": "apps.api.config.settings.prod",
    "RELEASE": "1a2b3c4",
    "SECRET_KEY": "only-for-tests-secret-key",
    "DEBUG": "false",
    # Nothing listens on the discard port.
    "DB_HOST": "127.0.0.1",
    "DB_PORT": "9",
    "DB_NAME": "academy",
    "DB_USER": "academy_user",
    "DB_PASSWORD": "only-for-tests-password",
    "DB_CONN_MAX_AGE": "60",
    "DB_SSLMODE": "require",
    "R2_ACCESS_KEY": "only-for-tests-r2-access",
    "R2_SECRET_KEY": "only-for-tests-r2-secret",
    "R2_ENDPOINT": "https://r2.example.com",
    "R2_PUBLIC_BASE_URL": "https://media.example.com",
    "R2_AI_BUCKET": "academy-ai",
    "R2_VIDEO_BUCKET": "academy-video",
    "R2_EXCEL_BUCKET": "academy-excel",
    "AWS_REGION": "ap-northeast-2",
    "VIDEO_SQS_QUEUE_NAME": "academy-video-jobs",
    "MESSAGING_SQS_QUEUE_NAME": "academy-messaging-jobs",
    "AI_SQS_QUEUE_NAME_LITE": "academy-ai-jobs-lite",
    "AI_SQS_QUEUE_NAME_BASIC": "academy-ai-jobs-basic",
    "AI_SQS_QUEUE_NAME_PREMIUM": "academy-ai-jobs-premium",
    "INTERNAL_WORKER_TOKEN": "only-for-tests-token",
    "API_BASE_URL": "http://api.example.com:8000",
}
