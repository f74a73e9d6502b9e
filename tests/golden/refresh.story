# members --refresh: any node sends a lap of its own round; each adds what it measured. It is back
# after a lap, and the command is answered.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
refresh 1
run 20
end
