# A disk that hangs while its process answers pings: every SEAL would wait at it for ever. After 5 s
# without a completed write the node leaves by itself, acknowledges nothing, and merges with nobody
# until its disk is back. The others go on.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
hang 1
send 0
run 5500
await 0 2 within 1000
expect message 0 acknowledged
expect node 1 stalled
send 1
run 10
expect message 1 failed
unhang 1
await 0 1 2 within 5000
run 500
expect node 1 has 0
end
