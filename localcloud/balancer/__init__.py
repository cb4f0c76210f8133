# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elastic Load Balancing's application load balancer, made real: HAProxy, told what the control plane says.

    state     what of elbv2 decides over traffic, read from moto
    config    that state as HAProxy's configuration, and the orders that change servers while it runs
    targets   what becomes of a target: registered, probed, drained
    place     the network namespace where the proxy listens and from where it probes
    proxy     the HAProxy processes
    load_balancers   the component that keeps all of these in step

Why HAProxy and not nginx: only HAProxy takes and drains servers in a running process without a reload, keeps a client's
idle connection over a reload until it has been answered, tells HTTP/2 clients to use HTTP/1.1 for WebSocket as an ALB
does, and rewrites its own errors into AWS's.
"""
