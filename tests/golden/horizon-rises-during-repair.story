# A node's retention ends while it supplies another
#
# 1 leads, 0 keeps everything, 2 is new and is supplied by its predecessor 1. Meanwhile 1 is told to
# keep next to nothing. What it prunes before 2 had it comes from 0, through 1: 1 passes 2's DIGEST
# on again as its horizon rises, and does so from the store, since nothing else says what 2 lacks.
nodes 3
start 0
start 1
await 0 1
send 0 4 16000
send 1 6 16000
run 500
start 2
await 0 1 2
run 2
retain 1 10
run 2000
end
