# Asked to stop while it waits for its input: status 130, soon.
. "$TESTS/programs/failures/functions.sh"
mkfifo pipe.png
restormer-cli pipe.png out.png &
sleep 1
kill -s TERM $!
wait $!
echo "exit $?"

exec 3<>pipe.png # so that the pipe stays open, and empty
restormer-cli - out.png <&3 &
sleep 1
kill -s TERM $!
wait $!
echo "exit $?"
ls -A
