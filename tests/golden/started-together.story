# Trap: one merge per formation. Eight hosts are switched on together. Leaders gather the merges of a
# moment and take them all in at once, so that a few formations do, not seven.
nodes 8
start 0 1 2 3 4 5 6 7
await 0 1 2 3 4 5 6 7 within 800
quiet
end
