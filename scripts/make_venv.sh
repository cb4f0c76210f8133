#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make the virtual environment with the pinned packages. Usage: make_venv.sh <python> <directory>
set -euo pipefail

python=$1
venv=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed; $python is $("$python" --version 2>&1). Set PYTHON=<path> on the make command line." >&2
  exit 1
}

# Debian splits venv off its python3 package.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "$python has no venv module. Install it (on Debian: apt-get install python3-venv) and run make again." >&2
    exit 1
  fi
  echo "Installing python3-venv …"
  # A new machine may still be busy with its first updates.
  wait=(-o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  apt-get update -q "${wait[@]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y "${wait[@]}" --no-install-recommends python3-venv
fi

echo "Installing the pinned Python packages into $venv (one to two minutes the first time) …"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
  --constraint constraints.txt --requirement requirements-dev.txt
# pip would compile the hundred collections that come with ansible, one file after the other; these are the ones in use.
site_packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$venv/bin/python" -m compileall -q -j 0 \
  -x 'ansible_collections/(?!amazon/aws/|ansible/posix/|community/(aws|docker|library_inventory_filtering_v1)/)' "$site_packages" ||
  true # as with pip, a file of another Python's syntax is no reason to stop
# What Ansible brings along as archives is compiled once too.
cp localcloud/images/host/files/usr/lib/python3/dist-packages/kept_bytecode.{py,pth} "$site_packages"
