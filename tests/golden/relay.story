# What a member's shell relays (a new key, say) goes once round. Each shell takes a moment, and only
# then RELAY goes on; so the origin is told "done" when all have it. Then a member dies with it in its
# hands: the view changes, and the origin is told that it came to nothing.
nodes 3
start 0 1 2
await 0 1 2
run 100
relay 0
run 20
when 1 sends RELAY kill 2
relay 0
await 0 1
start 2
await 0 1 2
run 1000
relay 1
run 20
end
