# A node that restarts comes with its id and another instance, too. The leader asks the listed one by
# a probe; its port refuses, so the newcomer takes its place, in the same view change.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
kill 0
start 0
await 0 1 2 within 2000
expect node 2 leads 3
end
