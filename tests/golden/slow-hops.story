# Trap: formations that chase each other. A frame takes 10 ms to the next node. While node 8 is taken
# in, node 3 loses its power: the merge is done again without newcomers, behind which node 8 would
# see its links end, and start one with all, behind which the leader would see the same, and so on
# for ever. So who leaves a formation for a higher one says so on its links, and who is told waits
# for two laps of it.
nodes 9
quiet
start 0 1 2 3 4 5 6 7
await 0 1 2 3 4 5 6 7
run 1000
elect 3 0
run 1000
hops 10
run 1000
loud
when 8 sends GATHER_ACK power 3
start 8
await 0 1 2 4 5 6 7 within 1120
quiet
await 0 1 2 4 5 6 7 8 within 6000
start 3
await 0 1 2 3 4 5 6 7 8
end
