# A join. Node 1 is a ring of one. Node 0 starts, asks who is there (DISCOVER), gets an OFFER, and
# asks to merge: one formation of four laps, GATHER, INSTALL, SYNC, START. Then a message from each:
# DATA goes one lap, SEAL one more, held until each disk has it, STABLE tells the others. What node 1
# said before comes to node 0 by history repair, and is late there.
nodes 2
start 1
run 300
send 1
run 100
start 0
await 0 1
expect node 1 leads 2
send 0
send 1
run 50
expect message 1 acknowledged
expect message 2 acknowledged
run 1000
expect node 0 has 0
end
