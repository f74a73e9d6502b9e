# A clock that is three hours ahead. Node 1's messages get keys three hours ahead, and pull the
# logical clock of the whole ring there: what node 0 answers stands behind what it answers to. When
# the clock is set right, keys go on from where they are; nothing ever goes back. All are told.
nodes 3
quiet
start 0 2
await 0 2
clock 1 10800
loud
start 1
await 0 1 2
send 1
run 20
send 0
run 20
clock 1 0
send 1
run 20
kill 1
start 1
await 0 1 2
send 1
run 20
expect message 3 acknowledged
end
