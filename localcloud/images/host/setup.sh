#!/bin/sh
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs once, while the host image is built: the steps that a plain copy of files cannot do.
set -eu

# The CA, at Debian's place and at Amazon Linux's.
update-ca-certificates >/dev/null
mkdir -p /etc/pki/tls/certs
ln -sf /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt
ln -sf /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/cert.pem

# Nothing says Debian any more.
rm -f /etc/debian_version /etc/motd /etc/issue /etc/issue.net

groupadd --system --force wheel
useradd --create-home --shell /bin/bash --groups adm,systemd-journal,wheel --comment "EC2 Default User" ec2-user
chmod 0440 /etc/sudoers.d/90-cloud-init-users
rm -f /etc/ssh/ssh_host_*

# dnf must find installed what the image brings as Debian packages, and then knows its release by it.
dnf --quiet --assumeyes --releasever="$(cat /root/release)" install system-release
dnf --quiet makecache
rm -rf /var/log/dnf* /var/log/hawkey.log

systemctl enable --quiet academy-host-disks academy-host-keys academy-host-resolver academy-host-sshd-keygen \
    academy-host-swap ssh
# What a container must leave to the machine: kernel settings and binary formats are one for all hosts, consoles and
# kernel file systems are not there. The timers are Debian's and would only disturb.
systemctl mask --quiet \
    console-getty.service getty.target getty-static.service \
    dev-hugepages.mount proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-config.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount \
    kmod-static-nodes.service systemd-binfmt.service systemd-modules-load.service systemd-sysctl.service \
    systemd-journald-audit.socket systemd-logind.service \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
systemctl set-default --quiet multi-user.target
