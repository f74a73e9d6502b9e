# A node with short retention between two that want more. Node 1 keeps 10 ms of the history, node 0
# and node 2 keep all. Node 2 comes late, and its predecessor is node 1, which has pruned what node 2
# lacks: it asks its own predecessor for it, and passes it on without storing it (REPAIR_FAR).
nodes 3
quiet
start 0 1
await 0 1
send 0 2
send 1
run 500
loud
retain 1 10
run 100
send 1
run 100
expect node 1 pruned 0
start 2
run 3000
expect node 2 has 0
expect node 2 has 2
end
