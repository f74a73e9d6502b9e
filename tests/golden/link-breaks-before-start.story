# Trap: a link break between SYNC and START forgotten. Node 1's links are reset when it is about to
# take START: it would be alone in a ring that the others have left. Who is live and has no successor
# starts a formation at once.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
when 1 takes START reset 2
elect 2 0
run 500
await 0 1 2 within 3000
send 1
run 20
expect message 0 acknowledged
end
