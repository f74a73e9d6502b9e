# Two concurrent initiators. Node 0 and node 2 are asked for an election at the same moment: two
# formations of the same epoch. They rank by initiator; the lower one's token is refused where the
# higher one has been, and dies. One view comes of it, and each election gets an answer.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
elect 0 1
elect 2 0
await 0 1 2 3 within 3000
run 500
send 3
run 50
expect message 0 acknowledged
end
