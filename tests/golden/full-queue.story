# A full queue. Node 1 hangs, and node 0's clients go on sending: its window of unstable messages
# fills up, then the queue behind it, and then a send is refused at once, to be tried again. When
# node 1 goes on, what was taken goes out, within the window, and arrives; what was refused does not.
nodes 2
quiet
start 0 1
await 0 1
run 1000
pause 1
send 0 5645 1000
loud
send 0 10 1000
expect message 5648 unanswered
expect message 5649 refused
quiet
run 500
resume 1
run 3000
expect message 5648 acknowledged
expect node 1 has 5648
expect node 1 lacks 5649
end
