# Trap: refused tokens that chase each other. A frame takes 30 ms to the next node. Nodes 0 and 8 start
# formations at once; the holder of the lower token is refused, and waits for two laps of the higher
# one, as long as the refusal took: else it would start one more before that one has come round, whose
# end would be refused in turn.
nodes 16
quiet
start 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
await 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
run 1000
hops 30
run 1000
loud
elect 0 1
elect 8 9
await 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 within 15000
end
