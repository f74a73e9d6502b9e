# Trap: DIGEST (or HAVE) that comes before START dropped. Node 2 joins with a history of its own. The
# initiator, node 1, is live first, and tells its predecessor at once what it has, before that one has
# seen START. Kept, it is answered; dropped, node 1 would never get what node 2 brought.
nodes 3
quiet
start 0 1
await 0 1
split 0 1 / 2
start 2
run 300
send 2
run 1000
heal
loud
await 0 1 2
run 1000
expect node 0 has 0
expect node 1 has 0
end
