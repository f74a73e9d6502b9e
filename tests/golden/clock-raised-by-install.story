# Trap: hlc not raised by INSTALL in a merge. Node 1's clock is three hours ahead, and so is its
# message. Node 0 merges; a message waits there until START. INSTALL carries the highest hlc of all,
# so it gets a key above what node 1 has shown, though node 0 never saw that message.
nodes 2
quiet
clock 1 10800
start 1
run 300
send 1
run 1000
start 0
hang 1
run 500
send 0
run 100
loud
unhang 1
await 0 1
run 20
expect message 1 acknowledged
end
