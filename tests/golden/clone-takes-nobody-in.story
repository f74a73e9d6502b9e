# A clone takes nobody in. Node 4 has a copy of node 2's state directory and is told so by the ring;
# node 0, which cannot reach the ring, heard of node 4 just before and asks it to merge. It refuses:
# else node 0 would be in a ring that never merges, since a clone says nothing any more.
nodes 5
quiet
start 1 2 3
await 1 2 3
run 1000
clone 4 2
cut 0 1
cut 1 0
cut 0 2
cut 2 0
cut 0 3
cut 3 0
loud
start 4
run 5
start 0
run 100
expect node 4 cloned
expect node 4 alone
expect node 0 alone
heal
quiet
await 0 1 2 3 within 4000
end except 4
