# A slow disk, and nothing to get. A commit takes 3 s at node 2, longer than a formation's deadline:
# it says that it is still at it, and so the others wait for it instead of beginning anew for ever.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
disk 2 3000
run 1000
kill 0
loud
await 1 2 within 8000
expect node 2 epoch 3
quiet
disk 2 1
start 0
await 0 1 2
end
