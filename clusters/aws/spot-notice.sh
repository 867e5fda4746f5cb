#!/bin/bash
# On a spot machine of AWS: wait for the notice that it will be taken away, two minutes ahead, and drain it in Ray.
# cluster.yaml starts it on each worker.
#
#   spot-notice.sh HEAD:PORT

set -u
head=$1
metadata=${METADATA:-http://169.254.169.254}/latest
while sleep "${PAUSE:-5}"; do
  token=$(curl --silent --request PUT --header "X-aws-ec2-metadata-token-ttl-seconds: 60" "$metadata/api/token")
  # 404 until there is a notice
  if curl --silent --fail --header "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/spot/instance-action"; then
    exec ray drain-node --address="$head" --reason=DRAIN_NODE_REASON_PREEMPTION --reason-message=spot \
      --deadline-remaining-seconds=100
  fi
done
