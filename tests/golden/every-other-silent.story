# Trap: silent members skipped one hop time-out at a time. Every other one of eight hosts loses its
# power. All are probed at once, so the four that are left form within about the link time-out.
nodes 8
quiet
start 0 1 2 3 4 5 6 7
await 0 1 2 3 4 5 6 7
run 1000
loud
power 0
power 2
power 4
power 6
await 1 3 5 7 within 1600
quiet
start 0 2 4 6
await 0 1 2 3 4 5 6 7
end
