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

echo '--- in a folder: within half a second; what is done stays, and nothing else is left'
mkdir in
{ printf 'P5\n16 16\n255\n' && head -c 256 /dev/zero; } >in/a.pgm
cp in.pgm in/b.pgm
for attempt in 1 2 3; do
  rm -rf out
  restormer-cli -q -t 1 -w model.json in/a.pgm out/ 2>log # done, and kept
  restormer-cli -t 1 -w model.json --progress none --skip-existing in out 2>>log &
  sleep 2
  started=$(date +%s%N)
  kill -s TERM $!
  wait $!
  echo "exit $?" >>log
  [ $((($(date +%s%N) - started) / 1000000)) -gt 500 ] || break # a machine that is busy may take longer
  [ $attempt -lt 3 ] || echo 'took longer'
done
cat log
ls -A out
