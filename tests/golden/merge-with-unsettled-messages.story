# A merge with unsettled messages. Two rings of two, in each a message that is not stable, because a
# disk hangs, when they merge: both are in the token's union, each node lacks what the other ring had
# (WANT, FILL), and SYNC waits for the hung disks. START settles all, and the sends return success.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
split 0 1 / 2 3
await 0 1
await 2 3
run 3000
hang 1
hang 3
heal
run 700
loud
send 0
send 2
run 400
expect message 0 accepted
expect message 1 accepted
unhang 1
unhang 3
await 0 1 2 3 within 6000
run 10
expect message 0 acknowledged
expect message 1 acknowledged
expect node 2 has 0
expect node 0 has 1
end
