# Trap: the initiator's WANT sent before its predecessor has INSTALL. Node 0 dies when its message has
# reached node 1 only, whose link to node 2 breaks too. Node 2 starts the formation and lacks the
# message; its predecessor, which has it, gets INSTALL last. So the initiator asks when INSTALL is back.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
when 1 takes DATA reset 2
when 0 sends DATA kill 0
send 0
await 1 2 within 500
expect node 2 has 0
quiet
start 0
await 0 1 2
end
