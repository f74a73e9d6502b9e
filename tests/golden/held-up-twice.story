# A loop that is held up twice. Nodes 1 and 2 are stopped, as on a host that is too busy; two newcomers,
# which reach nobody else, ask node 1 again and again who is there. All that has arrived when it goes
# on is one hold-up, and is doubted once: so there is a doubt left when it is stopped again before it
# has heard of node 2, and it takes what node 2 sent in the meantime instead of accusing it. (The
# others have long times in their settings, and miss nobody.)
nodes 6
quiet
slow 0
slow 2
slow 3
start 0 1 2 3
await 0 1 2 3
run 1000
cut 4 0
cut 4 2
cut 4 3
cut 4 5
cut 5 0
cut 5 2
cut 5 3
cut 5 4
loud
pause 1
pause 2
start 4 5
run 1200
resume 1 inputs
run 1
pause 1
run 1
resume 2
run 1400
resume 1
run 100
expect node 1 epoch 2
quiet
heal
await 0 1 2 3 4 5
end
