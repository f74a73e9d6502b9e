# A message that has a row in the outbox leaves only when the write that stores the keyed message, and
# removes the row, is on disk. Node 0 dies when it sends the DATA: its row is gone by then. If it were
# not, the message would go out again, under another key.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
when 1 sends SYNC pause 2
elect 0 1
run 20
loud
send 0
run 100
expect message 0 accepted
when 0 sends DATA kill 0
resume 2
run 3000
await 1 2
run 500
start 0
await 0 1 2
run 500
expect node 1 has 0
expect node 0 has 0
end
