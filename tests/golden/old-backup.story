# An older backup comes back. Node 0's state directory is restored to what it was before it sent
# three messages: it knows neither them nor that their numbers are taken. GATHER collects the highest
# seq that anyone holds of it; INSTALL's cut gives it a run above. Nothing is given a number twice.
nodes 3
quiet
start 0 1 2
await 0 1 2
send 0
run 20
backup 0
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
