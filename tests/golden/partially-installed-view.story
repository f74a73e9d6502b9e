# A partially installed view. The initiator of a formation dies when its INSTALL has reached one node
# of three. That node has the new view, the others the old one and the formation; the next formation's
# token lists all of them as bases, so that it can gather both.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
send 1
run 50
loud
when 3 sends INSTALL kill 3
elect 3 0
await 0 1 2 within 5000
send 0
run 50
expect message 1 acknowledged
quiet
start 3
await 0 1 2 3
end
