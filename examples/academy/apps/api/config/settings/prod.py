# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API: what the workers share plus everything that HTTP needs."""

from apps.api.config.settings.base import *  # noqa: F403 - Django settings are one flat namespace
from apps.api.config.settings.base import api_url, environment

ROOT_URLCONF = "apps.api.config.urls"
WSGI_APPLICATION = "apps.api.config.wsgi.application"

MIDDLEWARE = [
    # First: a load balancer asks for /health over plain HTTP with the host's bare address as its Host header, which the
    # middleware below would redirect or refuse.
    "apps.api.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]

if api_url.scheme == "https":
    ALLOWED_HOSTS = [api_url.hostname or ""]
    # Behind a load balancer the request itself is always plain HTTP; the header tells what the client used.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # For whoever adds forms and sessions: the browser's Origin says https, and a login never travels in the clear.
    CSRF_TRUSTED_ORIGINS = [f"https://{api_url.netloc}"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
else:
    # Not open to the public yet: the operator asks by an address that changes whenever the host is stopped and started.
    ALLOWED_HOSTS = ["*"]

environment.finish()
