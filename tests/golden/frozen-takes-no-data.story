# A frozen node takes no DATA. Node 2 has given its entry for a formation when node 1's message comes,
# and node 1 is dead. If it took the message nobody would know that it has it: the token has gone by.
# It drops it, and so the message is nowhere: its sender was never told that it is.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
reset 2 0
send 1
kill 1
await 0 2 within 1000
run 500
expect message 0 unanswered
expect node 0 lacks 0
expect node 2 lacks 0
quiet
start 1
await 0 1 2
end
