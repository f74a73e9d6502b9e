# A clone that is not alone. Node 3's disk is a copy of node 1's; cut off from the others it has
# formed a ring with node 2, which leads it. When the network is whole the two rings want to merge,
# and the double shows: the leader that asked is told CLONE and passes it on to its member, which
# stays alone and says so (nobody can tell which of the two is the copy). The others become one ring.
nodes 4
quiet
split 0 1 / 2 3
start 0 1
await 0 1
elect 1 0
run 500
await 0 1
expect node 0 leads 2
send 0
run 1000
clone 3 1
start 2
run 500
start 3
await 2 3
expect node 2 leads 2
loud
heal
await 0 2 3 within 10000
expect node 1 cloned
quiet
send 0
send 2
run 50
expect message 1 acknowledged
expect message 2 acknowledged
end except 1
