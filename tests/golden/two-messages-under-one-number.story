# Two hosts gave the same numbers
#
# Node 2's disk is a copy of node 0's, and both start in the same second, out of each other's sight:
# both number their messages alike. Node 2 is gone again when the two rings meet. Node 3 has one
# message of that origin, 0 and 1 have three under the same numbers; what 3 lacks it gets. Only then
# are the intervals equal and their sums different: the new DIGEST after the repair shows it, CONFLICT
# tells everybody, and node 0, whose numbers they are, stays alone and says so. Nothing is lost.
nodes 4
quiet
clone 2 0
split 0 1 / 2 3
start 0 1 2 3
await 0 1
await 2 3
send 0 3
send 2
run 500
kill 2
run 500
loud
heal
await 0 1 3
run 2000
expect node 0 cloned
