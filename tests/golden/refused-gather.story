# A refused GATHER. Node 1 has gone from the ring with a hung disk and is alone in a view of its own
# when node 0, which has not noticed, offers it a token of the old view: it refuses, and says why.
# The formation goes on without it, and when its disk is back it merges like any newcomer.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
hang 1
send 1
run 5100
await 0 2 within 3000
expect node 1 stalled
send 0
run 50
expect message 1 acknowledged
unhang 1
await 0 1 2 within 8000
run 1000
end
