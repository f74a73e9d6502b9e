# Two doubles in one ring. Node 3 is a clone of node 1, and node 2 is started again; they find each
# other before the ring of nodes 0, 1 and 2 has missed anybody, and their ring asks to merge. That
# node 2 is the same node, restarted, does not clear node 3.
nodes 4
quiet
start 0 1 2
await 0 1 2
elect 1 0
run 100
run 1000
clone 3 1
power 2
split 0 1 / 2 3
start 2 3
run 150
heal
loud
await 0 1 2 within 6000
expect node 3 cloned
quiet
end except 3
