# A renamed host, and a changed address. Node 1 comes back under another name and another address. It
# is the same node, by its id; the others take the new name and address from its entry and its MERGE.
nodes 3
quiet
start 0 1 2
await 0 1 2
send 1
run 1000
kill 1
rename 1
move 1
loud
start 1
await 0 1 2 within 3000
send 1
run 50
expect message 1 acknowledged
kill 0
await 1 2 within 1000
quiet
start 0
await 0 1 2
end
