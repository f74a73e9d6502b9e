# A stale epoch. The token of formation 3 is on its way to node 1, which hangs. The others form 4
# without it and go on, then form again. When node 1 wakes up, the old token is the first thing that
# it takes, and everybody refuses what comes of it: ranks only rise.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
when 1 takes GATHER pause 1
elect 0 2
await 0 2 3 within 3000
elect 0 0
await 0 2 3 within 3000
run 500
send 0
run 50
resume 1
await 0 1 2 3 within 10000
expect message 0 acknowledged
end
