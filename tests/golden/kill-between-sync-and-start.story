# A member dies between SYNC and START: it has everything on disk, said so, and never sees START.
# Behind it nobody goes live in this view; the next formation leaves it out.
nodes 4
quiet
start 0 1 2
await 0 1 2
loud
send 0
run 50
when 1 sends SYNC kill 1
start 3
await 0 2 3 within 3000
send 0
run 50
expect message 1 acknowledged
quiet
start 1
await 0 1 2 3
end
