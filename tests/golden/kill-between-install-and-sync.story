# A member dies between INSTALL and SYNC: it has passed the new view on, and never lets SYNC pass.
# Its links break, the next formation has a higher epoch, and leaves it out.
nodes 4
quiet
start 0 1 2
await 0 1 2
loud
when 0 sends INSTALL kill 0
start 3
await 1 2 3 within 3000
send 1
run 50
expect message 0 acknowledged
quiet
start 0
await 0 1 2 3
end
