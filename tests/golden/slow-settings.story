# One host with long times in its settings, a member and then the leader. All use the leader's
# heartbeat times, and each side of a link pings as often as the other one needs it: the ring is stable.
nodes 3
quiet
slow 0
start 0 1 2
await 0 1 2
expect node 0 epoch 2
expect node 2 leads 3
run 60000
expect node 0 epoch 2
loud
elect 1 0
await 0 1 2 within 100
quiet
run 60000
expect node 0 epoch 3
end
