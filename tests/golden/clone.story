# A clone. Node 2's disk is a copy of node 0's, and both hosts run: two live nodes with one id. The
# leader hears of a member under another instance and asks the listed one, which answers. So the
# newcomer is told CLONE, stays alone and says so; the others' ring and histories take no harm. The
# connection that asked is hung up: its end could be taken for an answer to a later question.
nodes 3
quiet
start 0 1
await 0 1
send 0
run 1000
clone 2 0
loud
start 2
run 1000
expect node 2 cloned
expect node 1 links 2
await 0 1
send 0
send 1
send 2
run 50
expect message 1 acknowledged
expect message 2 acknowledged
end except 2
