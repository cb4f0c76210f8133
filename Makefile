# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

# `su` without a dash leaves the sbin directories out.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
# Ansible refuses a locale that the machine does not have, such as the one an SSH client brought along.
export LC_ALL := C.UTF-8
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# molecule and ansible-lint do not read our ansible.cfg.
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.collections
# Every target but those of a real account talks to this machine alone: no credentials of the caller come along.
unexport AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE AWS_CONFIG_FILE
unexport AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION AWS_URL
# Images of Python set it for containers that run once. Here hundreds of processes would compile the same sources.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: $(wildcard requirements*.txt) constraints.txt scripts/make_venv.sh \
    examples/academy/requirements.txt examples/academy/docker/video-worker/requirements.txt
	@scripts/make_venv.sh "$(PYTHON)" "$(VENV)"
	touch $@

.PHONY: demo
demo: $(VENV)/installed ## Bring everything up on the embedded cloud of this machine and show that it works
	@python -m localcloud.demo

.PHONY: down
down: $(VENV)/installed ## Remove everything the demo and the tests started
	@python -m localcloud down

.PHONY: lint
lint: $(VENV)/installed ## Check form: ansible-lint, yamllint, ruff, mypy
	@scripts/run_lint.sh

.PHONY: check
check: $(VENV)/installed ## Everything fast: lint, unit tests, inventory against the guide
	@scripts/run_check.sh

.PHONY: test
test: $(VENV)/installed ## Everything that proves the project; starts and removes its own embedded cloud
	@scripts/run_tests.sh

.PHONY: machine-test
machine-test: $(VENV)/installed ## Carry a host and the demo on cgroup v2, in a virtual machine (MINUTES=120)
	@python -m tests.machine --minutes $(or $(MINUTES),120)

$(VENV)/bench-installed: $(VENV)/installed bench/requirements.txt
	@pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement bench/requirements.txt
	touch $@

.PHONY: bench
bench: $(VENV)/bench-installed ## Measure speed and memory against peers, on an embedded cloud of its own
	@python -m bench
