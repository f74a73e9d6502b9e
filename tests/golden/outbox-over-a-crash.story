# The outbox over a crash. A formation holds node 0 while somebody sends two messages there: after
# 50 ms they get rows in the outbox, and the sender is told that they will go out. The process dies.
# When it is back the outbox goes first, in order, and each row is removed by the write that stores
# the keyed message: both appear once, whatever restarts come later.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
when 1 sends SYNC pause 2
elect 0 1
run 20
send 0
run 30
send 0
run 100
expect message 0 accepted
expect message 1 accepted
kill 0
resume 2
run 100
start 0
await 0 1 2
run 200
expect node 2 has 0
expect node 2 has 1
quiet
kill 0
start 0
await 0 1 2
end
