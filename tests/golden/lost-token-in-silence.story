# A token lost in silence: its holder hangs right after it took it. Nobody's link breaks for a second;
# then whoever gave it the token starts the next formation without it.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
when 1 sends GATHER_ACK pause 1
elect 3 0
await 0 2 3 within 4000
send 0
run 50
expect message 0 acknowledged
quiet
resume 1
await 0 1 2 3
end
