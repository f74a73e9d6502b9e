# Two messages under one number. Node 2 is a copy of node 1; both start in the same second, apart from
# each other, so that they take the same run, and each sends a message. Later node 2 comes with node
# 1's id while node 1 is down. Sums of message ids show that the numbers were given twice: all are
# told, and the owner of the id stays alone. Nobody's history takes harm.
nodes 3
quiet
start 0 1
await 0 1
run 1000
kill 1
run 3000
clone 2 1
split 0 1 / 2
start 1 2
await 0 1
send 1
send 2
run 100
kill 1
run 3000
loud
heal
run 6000
send 0
run 50
expect message 2 acknowledged
expect node 2 cloned
expect node 0 has 0
expect node 0 lacks 1
quiet
kill 2
start 1
await 0 1
end except 2
