# A hung process: stopped, and resumed three minutes later. Its kernel still accepts connections,
# so only frames count: it is left out, and the ring goes on. Resumed, it doubts itself before it
# accuses anyone, takes what has arrived, and merges back.
nodes 3
quiet
start 0 1 2
await 0 1 2
run 1000
loud
pause 1
send 0
await 0 2 within 3000
run 10
expect message 0 acknowledged
quiet
run 180000
loud
resume 1
await 0 1 2 within 5000
run 500
expect node 1 has 0
end
