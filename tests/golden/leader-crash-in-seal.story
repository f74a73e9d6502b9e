# A leader crash in the middle of a SEAL. Node 2 leads and sends a message; its DATA has gone round,
# its SEAL has left, and the process dies. The two others do not know whether it was stable: it is in
# the union of the formation, so both have it on disk at START, and show it.
nodes 3
quiet
start 0 1 2
await 0 1 2
expect node 2 leads 3
loud
when 2 sends SEAL kill 2
send 2
await 0 1 within 500
run 10
expect message 0 accepted
expect node 0 has 0
expect node 1 has 0
quiet
start 2
await 0 1 2
end
