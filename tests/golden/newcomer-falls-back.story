# A newcomer falls back. While node 3 is taken in, node 0 dies with the token, and node 3 is the first
# to see it. It does not reach node 1: a formation of its own with all would exclude a member for
# that. So it goes back to the ring that it came from, and the others form theirs again.
nodes 4
quiet
start 0 1 2
await 0 1 2
run 1000
cut 1 3
cut 3 1
loud
when 0 sends GATHER_ACK kill 0
start 3
await 1 2 within 700
quiet
heal
start 0
await 0 1 2 3
end
