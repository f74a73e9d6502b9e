# A clock that steps back by a day, over a restart too. The run of sequence numbers is one above the
# last, the logical clock begins at the bound that is on disk: no seq is given twice, and no message
# stands before an earlier one.
nodes 2
quiet
start 0 1
await 0 1
loud
send 0
run 20
clock 0 -86400
send 0
run 20
kill 0
start 0
await 0 1
send 0
run 20
expect message 2 acknowledged
end
