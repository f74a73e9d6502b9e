# A leader that loses its power and is back before anybody has missed it. The others still have it in
# their view, and answer its announcement with an offer of the ring that it led. Its own address is in
# it: it does not ask itself to merge, but waits until the others have formed a view without it.
nodes 3
quiet
start 0 1 2
await 0 1 2
elect 0 2
run 1000
expect node 2 leads 3
power 2
loud
start 2
await 0 1 2
expect node 2 epoch 4
end
