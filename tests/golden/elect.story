# elect NODE: node 1 is asked to make node 0 the leader. One formation, whose token names who is to
# lead; the command is answered when the view is live.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
elect 1 0
run 50
await 0 1 2
expect node 0 leads 3
end
