# Trap: probing by datagram only. All datagrams are lost when a member is killed: the others are asked
# by connections, too, and nobody who is alive is left out.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
lose 100
kill 1
await 0 2 3 within 200
lose 0
quiet
start 1
await 0 1 2 3
end
