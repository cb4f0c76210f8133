#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_state_info
short_description: The whole AWS side of the deployment in one concurrent pass
version_added: "0.1.0"
description:
  - Reads what the options name, all at the same time, and writes nothing. What is not asked for is not read.
  - What does not exist is left out of the answer, or null; only a network that does not fit is an error, whose message
    says which rule failed and what to do, beside what else was read. An answer of AWS that is an error is told with
    the section and the call.
options:
  caller:
    description: Whose credentials these are. Give it as true, or leave it out.
    type: bool
  minimum_zones:
    description:
      - Look up the network. Its subnets must lie in one VPC and in this many availability zones; RDS and load balancers
        demand two.
    type: int
  vpc_id:
    description:
      - The VPC to use.
      - When neither this nor O(subnet_ids) is given, the account's default VPC is used.
    type: str
  subnet_ids:
    description: The subnets to use. Empty means all of O(vpc_id), or the default ones of the default VPC.
    type: list
    elements: str
  security_group_names:
    description: Security groups of that VPC. Needs O(minimum_zones).
    type: list
    elements: str
  role_names:
    description: IAM roles, and the instance profiles of the same names.
    type: list
    elements: str
  queue_names:
    description: SQS queues.
    type: list
    elements: str
  repository_names:
    description: ECR repositories.
    type: list
    elements: str
  log_group_prefix:
    description: Log groups whose names begin with this.
    type: str
  alarm_prefix:
    description: CloudWatch's metric alarms whose names begin with this.
    type: str
  topic_arns:
    description: SNS topics, by their ARNs.
    type: list
    elements: str
  function_names:
    description: Lambda functions.
    type: list
    elements: str
  schedule_names:
    description: EventBridge rules of the default bus.
    type: list
    elements: str
  db_instance_identifier:
    description: An RDS instance.
    type: str
  db_subnet_group_name:
    description: A subnet group of RDS.
    type: str
  instance_filters:
    description: EC2 instances that these filters of C(DescribeInstances) let through.
    type: dict
  instance_types:
    description: EC2 instance types, for their memory, their architectures, the zones that offer them and whether they
      have CPU credits.
    type: list
    elements: str
  image_parameters:
    description: Parameters of Systems Manager that name machine images, such as AWS's own of Amazon Linux.
    type: list
    elements: str
  launch_template_names:
    description: EC2 launch templates.
    type: list
    elements: str
  load_balancer_names:
    description: Load balancers.
    type: list
    elements: str
  target_group_names:
    description: Target groups of load balancers.
    type: list
    elements: str
  bucket_names:
    description: Buckets of S3.
    type: list
    elements: str
  certificates:
    description: Certificates of Certificate Manager, by their ARNs or by the domain names that they were made for.
    type: list
    elements: str
  public_names:
    description: Names for which the account's hosted zone in Route 53 is looked up.
    type: list
    elements: str
notes:
  - O(debug_botocore_endpoint_logs) says nothing here.
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors
"""

EXAMPLES = r"""
- name: Find the default VPC and two of our security groups in it
  academy.deploy.aws_state_info:
    minimum_zones: 2
    security_group_names: [academy-api-sg, academy-worker-sg]

- name: See the running hosts of the deployment, and where a video worker could be launched
  academy.deploy.aws_state_info:
    vpc_id: vpc-0123456789abcdef0
    minimum_zones: 1
    instance_filters:
      tag:Project: academy
      instance-state-name: running
    instance_types: [t4g.medium]

- name: See the queues and what may use them
  academy.deploy.aws_state_info:
    queue_names: [academy-video-jobs, academy-video-jobs-dlq]
    role_names: [academy-api-role, academy-video-worker-role]
"""

RETURN = r"""
caller:
  description: The C(account) and C(arn) of the credentials in use.
  returned: when O(caller) is given
  type: dict
network:
  description: The network to use.
  returned: when O(minimum_zones) is given
  type: dict
  contains:
    vpc_id:
      description: The VPC of the subnets.
      type: str
      sample: vpc-0123456789abcdef0
    subnets:
      description: Its subnets, by zone. Each has C(subnet_id), C(vpc_id) and C(zone).
      type: list
      elements: dict
security_groups:
  description: >-
    The security groups by name, as C(DescribeSecurityGroups) tells them, in snake case. Each has among others
    C(group_id), C(ip_permissions), C(ip_permissions_egress) and C(tags).
  returned: when O(minimum_zones) is given
  type: dict
roles:
  description: >-
    The roles by name. Each has C(arn), C(description), C(trust_policy), C(managed_policies) (their ARNs),
    C(inline_policies) (documents by name) and C(tags).
  returned: when O(role_names) is given
  type: dict
instance_profiles:
  description: The instance profiles by name. Each has C(arn), C(roles) (their names) and C(tags).
  returned: when O(role_names) is given
  type: dict
queues:
  description: >-
    The queues by name. Each has C(url), C(arn), C(attributes) (all of them, as SQS names and tells them),
    C(redrive_policy) (null where there is no dead-letter queue) and C(tags).
  returned: when O(queue_names) is given
  type: dict
repositories:
  description: >-
    The repositories by name. Each has C(arn), C(uri), C(image_tag_mutability), C(scan_on_push), C(lifecycle_policy)
    (null where there is none) and C(tags).
  returned: when O(repository_names) is given
  type: dict
log_groups:
  description: The log groups by name. Each has C(arn), C(retention_days) (null for ever) and C(tags).
  returned: when O(log_group_prefix) is given
  type: dict
alarms:
  description: The alarms by name, as C(DescribeAlarms) tells them, each with its C(tags).
  returned: when O(alarm_prefix) is given
  type: dict
topics:
  description: >-
    The topics by ARN. Each has C(policy), C(subscriptions) (each with C(protocol), C(endpoint) and whether it is
    C(confirmed)) and C(tags).
  returned: when O(topic_arns) is given
  type: dict
functions:
  description: >-
    The functions by name. Each has C(arn), C(description), C(runtime), C(handler), C(role) (its ARN),
    C(timeout_seconds), C(memory_mib), C(architecture), C(environment) (its variables), C(code_sha256), C(log_group),
    C(retries) (of a failed asynchronous invocation), C(statements) (those of its resource policy) and C(tags).
  returned: when O(function_names) is given
  type: dict
schedules:
  description: >-
    The rules by name. Each has C(arn), C(description), C(schedule), C(event_pattern), C(state), C(role), C(targets)
    (as C(ListTargetsByRule) tells them) and C(tags).
  returned: when O(schedule_names) is given
  type: dict
db_instance:
  description: The database as M(amazon.aws.rds_instance_info) tells it; null where there is none.
  returned: when O(db_instance_identifier) is given
  type: dict
db_subnet_group:
  description: >-
    The subnet group with C(arn), C(vpc_id), C(description), C(subnet_ids) and C(tags); null where there is none.
  returned: when O(db_subnet_group_name) is given
  type: dict
instances:
  description: >-
    The instances as M(amazon.aws.ec2_instance_info) tells them, each with its
    C(instance_initiated_shutdown_behavior), by device its C(volumes), as C(DescribeVolumes) tells them, and its
    C(spot_request), as C(spot_requests) would have it (null where there is none).
  returned: when O(instance_filters) is given
  type: list
  elements: dict
instance_types:
  description: >-
    The instance types by name. Each has C(memory_mib), C(architectures), C(zones) (those that offer it)
    and C(has_cpu_credits).
  returned: when O(instance_types) is given
  type: dict
  sample:
    t4g.medium: {"memory_mib": 4096, "architectures": ["arm64"], "has_cpu_credits": true, "zones": ["ap-northeast-2a"]}
images:
  description: The ids of the machine images, by parameter.
  returned: when O(image_parameters) is given
  type: dict
  sample: {"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64": "ami-0123456789abcdef0"}
launch_templates:
  description: >-
    The launch templates by name. Each has C(launch_template_id), C(default_version), C(latest_version), C(data) (of the
    default version, in snake case) and C(tags).
  returned: when O(launch_template_names) is given
  type: dict
load_balancers:
  description: >-
    The load balancers by name, as C(DescribeLoadBalancers) tells them, in snake case, each with its C(attributes) (by
    name), its C(listeners), as C(DescribeListeners) tells them, each with its C(Rules) but for the default one, and
    its C(tags).
  returned: when O(load_balancer_names) is given
  type: dict
target_groups:
  description: >-
    The target groups by name, as C(DescribeTargetGroups) tells them, in snake case, each with its C(attributes) (by
    name), its C(targets) (each with C(id), C(port), C(state), C(reason) and C(description)) and its C(tags).
  returned: when O(target_group_names) is given
  type: dict
buckets:
  description: >-
    The buckets by name, each with its C(policy), C(public_access_block), C(lifecycle) (of each rule C(status),
    C(prefix) and C(expiration)) and C(tags).
  returned: when O(bucket_names) is given
  type: dict
certificates:
  description: >-
    By what was asked for, the certificates that there are, as C(DescribeCertificate) tells them, in snake case, each
    with C(expires_in_days) and its C(tags).
  returned: when O(certificates) is given
  type: dict
hosted_zones:
  description: >-
    By name the account's public zone that is nearest above it, with C(id), C(name) and C(records) (each with C(name),
    C(type), C(values) and C(alias)).
  returned: when O(public_names) is given
  type: dict
"""
