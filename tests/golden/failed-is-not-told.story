# A higher formation that has given up a candidate. Nodes 0 and 3 start formations at once, and nodes
# 1 and 3 do not hear each other. Node 0 and node 2 leave the lower one for the higher one, whose
# probes had no answer from node 1: so they do not tell node 1 to wait for it. It starts its own as
# soon as the links have ended, is refused, and goes on alone.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
cut 1 3
cut 3 1
elect 0 1
elect 3 2
await 1 within 420
await 0 2 3 within 100
quiet
heal
await 0 1 2 3
end
