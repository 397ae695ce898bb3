# Run a program and tell it once to end when our own input closes, as it does when the process that holds it is killed.
# mdrun writes a checkpoint at the first SIGTERM, but dies at the third; the kernel's own signal at a parent's death is
# sent for each of that parent's threads.
exec 3<&0
"$@" </dev/null 3<&- &
run=$!
{ read -r _; kill -TERM $run; } <&3 2>/dev/null &
watch=$!
wait $run
status=$?
kill $watch 2>/dev/null
exit $status
