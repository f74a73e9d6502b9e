# A flapping member. Node 1 is killed soon after each merge. The first time it may come back at once;
# then it is held off for 1 s, 2 s, 4 s and so on, so that the ring is not formed again and again.
nodes 3
quiet
start 0 2
await 0 2
run 500
loud
start 1
await 0 1 2 within 1000
kill 1
await 0 2 within 1000
start 1
await 0 1 2 within 1000
kill 1
await 0 2 within 1000
start 1
run 800
expect node 1 alone
await 0 1 2 within 4000
kill 1
await 0 2 within 1000
start 1
run 1800
expect node 1 alone
await 0 1 2 within 6000
end
