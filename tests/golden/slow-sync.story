# A slow node in a formation. Node 2 lacks 60 messages of the union, and a commit takes 2.3 s there.
# It says that it gets on (SYNC_PROGRESS) when more of the union is on its disk, and so nobody gives
# the formation up, though it takes longer than any deadline.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
disk 2 2300
when 1 takes DATA reset 2
send 0 60 8000
kill 0
loud
await 1 2 within 8000
expect node 2 has 59
expect node 2 epoch 3
disk 2 1
send 1
run 20
expect message 60 acknowledged
quiet
start 0
await 0 1 2
end
