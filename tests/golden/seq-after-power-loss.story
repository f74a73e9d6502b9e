# Trap: a seq made from what the own disk holds. Node 0's message has gone round before node 0's own
# disk had it, and the power fails. Node 0 comes back with nothing of it, and must not give that seq
# to another message: a start takes a new run. The message itself comes back from the others.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
hang 0
send 0
run 5
power 0
unhang 0
start 0
await 0 1 2 within 5000
send 0
run 500
expect message 0 unanswered
expect message 1 acknowledged
expect node 0 has 0
end
