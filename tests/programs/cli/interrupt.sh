# Asked to stop: status 130, soon, with no output and an existing one untouched. (SIGTERM and Ctrl-C are handled
# alike, but a shell lets its background jobs ignore Ctrl-C.)
. "$TESTS/programs/cli/functions.sh"
"$make_model" --dim 48 --blocks 200 model.json
{ printf 'P5\n512 512\n255\n' && head -c 262144 /dev/zero; } >in.pgm
echo 'what was there before' >out.png

restormer-cli -t 1 -w model.json in.pgm out.png &
sleep 2
kill -s TERM $!
wait $!
echo "exit $?"
cat out.png
ls -A

echo '--- while it waits for somebody to read its output'
mkfifo pipe.png
restormer-cli -t 1 -w "$identity" "$pictures/rgb.png" pipe.png &
sleep 2
kill -s TERM $!
wait $!
echo "exit $?"
ls -A
