# A starved process. Node 0 gets the processor for a moment only, again and again, and each time doubts
# itself before it accuses node 1, which has lost its power. But not for ever: after some doubts about
# the same silence it goes on alone, and what it is asked to send is acknowledged.
nodes 2
quiet
start 0 1
await 0 1
run 1000
power 1
send 0
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
pause 0
run 900
resume 0
run 1
loud
expect node 0 alone
expect message 0 acknowledged
quiet
start 1
await 0 1
end
