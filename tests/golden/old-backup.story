# An older backup comes back. Node 0's clock is before 2020, so that time does not help, when its state
# directory is restored to what it was two lives ago: it knows neither the three messages that it sent
# since nor that their run is taken. GATHER collects the highest seq that anyone holds of it; INSTALL's
# cut gives it a run above. Nothing is given a number twice.
nodes 3
quiet
clock 0 -200000000
start 0 1 2
await 0 1 2
send 0
run 20
backup 0
kill 0
start 0
await 0 1 2
send 0 3
run 3000
loud
restore 0
await 0 1 2
send 0
run 1000
expect message 4 acknowledged
expect node 0 has 3
end
