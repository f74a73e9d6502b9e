# A suspend of an hour. Node 1's host sleeps, its monotonic clock with it; the others leave it out.
# When it wakes up its wall clock is an hour on, its links are closed, and it merges back by itself.
# What it was sending is neither lost nor doubled.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
send 1
suspend 1
await 0 2 within 3000
send 0
run 50
quiet
run 3600000
loud
wake 1
await 0 1 2 within 5000
run 500
expect message 0 acknowledged
expect node 1 has 1
end
