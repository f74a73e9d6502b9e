# A loop that is late doubts itself. Node 1 has passed the token on when it is stopped for 320 ms. When
# it goes on, the first thing that it sees is that nobody acknowledged in time; but the acknowledgement
# has been there all along. It gives everybody a moment more, and nobody is left out.
nodes 4
quiet
start 0 1 2 3
await 0 1 2 3
run 1000
loud
when 1 sends GATHER pause 1
elect 0 2
run 320
resume 1
await 0 1 2 3 within 100
expect node 1 epoch 3
