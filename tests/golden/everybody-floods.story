# Trap: back-pressure on the predecessor. All nodes send far more than their windows hold at one
# moment. Nobody stops reading its predecessor because its successor is slow: only local senders
# wait, and everything gets round.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
send 0 400 10000
send 1 400 10000
send 2 400 10000
send 3 400 10000
run 5000
loud
expect message 0 acknowledged
expect message 399 acknowledged
expect message 799 acknowledged
expect message 1199 acknowledged
expect message 1599 acknowledged
quiet
end
