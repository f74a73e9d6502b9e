# An import. Node 2 is away when message 0 is sent; all others are gone when it comes back, and
# somebody brings it an export. It takes the message in as if by repair: late, since it has shown
# another one meanwhile. A second time it is no news. The others, when they are back, had it before,
# and show it once.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
kill 2
await 0 1
send 0
run 50
power 0
power 1
start 2
await 2
send 2
run 50
expect message 1 acknowledged
loud
import 2 0 1
run 10
expect node 2 has 0
import 2 0 1
quiet
start 0 1
await 0 1 2
run 1500
expect node 0 has 1
end
