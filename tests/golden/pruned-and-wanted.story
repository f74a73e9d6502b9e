# What one has delivered and pruned, another has not settled, and a newcomer needs for the union
#
# 2 leads, and its clock is ahead. STABLE of messages 0 and 1 does not come to 0, while 2 has delivered
# both and keeps next to nothing: it prunes message 0. The newcomer 3, right behind 2, wants it from 2
# in the formation that takes it in. 2 asks 1 for it, once INSTALL is back, and passes it on.
nodes 4
quiet
start 0 1 2
await 0 1 2
run 300
loud
clock 2 1
when 0 takes STABLE cut 2
send 1
send 2
run 6
heal
retain 2 -9000
run 10
expect node 2 pruned 0
start 3
await 0 1 2 3 within 1000
expect node 3 has 0
quiet
end
