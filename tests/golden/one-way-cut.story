# Trap: a leader without a time-out of its own. What node 1 sends to the leader, node 2, is lost; the
# other way all is well. The leader's heartbeats go out and do not come back: it closes the silent
# link, and who finds the break first forms anew. A ring comes of it that uses no broken way.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
expect node 3 leads 4
run 1000
loud
cut 2 3
await 0 1 2 within 2000
run 4000
quiet
run 12000
loud
heal
await 0 1 2 3 within 15000
quiet
send 0
end
