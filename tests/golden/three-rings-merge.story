# Three rings merge at once. Six nodes are cut into three pairs, each of which goes on by itself and
# is written to. When the network is whole, the leaders hear of each other, two ask the third, and
# one formation takes all in; the histories become one.
nodes 6
quiet
start 0 1 2 3 4 5
await 0 1 2 3 4 5
split 0 1 / 2 3 / 4 5
await 0 1
await 2 3
await 4 5
send 0
send 2
send 4
run 5000
expect message 0 acknowledged
expect message 1 acknowledged
expect message 2 acknowledged
loud
heal
await 0 1 2 3 4 5 within 5000
run 1000
expect node 5 has 0
expect node 0 has 1
expect node 1 has 2
end
