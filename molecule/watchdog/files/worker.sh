# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A worker of these tests. It says of itself what stands in /state/say (state and empty polls), and nothing without it;
# told to end, it writes down whether it can still reach its queues.
end() {
  if exec 3<>/dev/tcp/sqs.ap-northeast-2.amazonaws.com/443; then echo "ended with a network"; else echo "ended alone"; fi \
    >/state/ended
  exit 0
}
trap end TERM
date +%s >>/state/started
while :; do
  if read -r state polls </state/say; then
    printf '{"state": "%s", "at": %s, "empty_polls": %s}' "$state" "$(date +%s)" "$polls" >/run/academy/new
    mv /run/academy/new /run/academy/heartbeat.json
  fi
  sleep 1 &
  wait $!
done 2>/dev/null
