# Trap: no late rule at START, or its baseline forgotten at a restart. In the ring of 1 and 2 a
# message waits for node 2's disk. Node 0, apart, sends a later one, shows it, and starts again. When
# they merge, START settles the older one: below what node 0 has shown, also in its last life, so it
# is late there, and in its place at the others.
nodes 3
quiet
start 0 1 2
await 0 1 2
split 0 / 1 2
await 1 2
run 3000
hang 2
heal
run 700
loud
send 1
run 10
send 0
run 10
kill 0
start 0
run 500
unhang 2
await 0 1 2 within 6000
run 500
expect message 0 acknowledged
end
