# A disk that fails. Node 1 can keep no promise any more: it says so to every client, closes its
# links at once, and the ring goes on without it. Started again on a good disk it merges.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
hops 1
break 1
send 1
refresh 1
run 10
expect message 0 failed
await 0 2 within 1000
send 0
run 20
expect message 1 acknowledged
quiet
kill 1
start 1
await 0 1 2
end
