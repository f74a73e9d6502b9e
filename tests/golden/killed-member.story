# Trap: probing the successor that was just killed. Its host refuses connections at once, so that its
# predecessor offers it the token instead of waiting for its answer: a few ms, with chat before and
# behind them.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
send 0
kill 1
send 0
await 0 2 3 within 20
run 20
expect message 0 acknowledged
expect message 1 acknowledged
quiet
start 1
await 0 1 2 3
end
