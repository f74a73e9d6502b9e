# leave, and join. Node 1 waits until its own message is stable, then asks its successor to form the
# view without it, and is let go by LEFT: the others see it leave, not fail. Away, it takes no
# messages. join brings it back, with what it missed.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
send 1
leave 1
await 0 2 within 1000
run 10
expect message 0 acknowledged
expect node 1 left
send 1
expect message 1 refused
send 0
run 100
join 1
await 0 1 2 within 5000
run 500
expect node 1 has 2
end
