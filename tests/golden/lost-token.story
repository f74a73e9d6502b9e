# A lost token. Node 1 has acknowledged the token of an election and dies before it passes it on. Who
# gave it the token sees the link break and starts the next formation, with a higher epoch.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
when 1 sends GATHER_ACK kill 1
elect 3 0
await 0 2 3 within 3000
send 0
run 50
expect message 0 acknowledged
quiet
start 1
await 0 1 2 3
end
