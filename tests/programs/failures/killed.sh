# Killed at any moment (SIGKILL): the old or the new output, never half of one. (tests/unit/test_output_killed.c goes
# through the steps one by one.)
. "$TESTS/programs/failures/functions.sh"
"$make_model" --dim 8 --blocks 1,1 model.json
restormer-cli -q -w model.json in.png new.png
echo 'what was there before' >old.png
mkdir place

n=0
while [ $n -lt 40 ]; do
  n=$((n + 1))
  if [ $((n % 2)) -eq 0 ]; then cp old.png place/out.png; else rm -f place/out.png; fi
  restormer-cli -q -w model.json in.png place/out.png &
  sleep "0.0$((n % 10))"
  kill -s KILL $! 2>/dev/null
  wait $! 2>/dev/null
  if [ -e place/out.png ] && ! cmp -s place/out.png new.png && ! cmp -s place/out.png old.png; then
    echo "killed in round $n: half an output"
  fi
done 2>/dev/null

echo '--- a model of two files: the old or the new one'
"$make_model" --dim 4 --blocks 1 a.json
"$make_model" --dim 4 --blocks 1 --seed 9 b.json
mkdir models
restormer-weights convert a.safetensors -o models/w.json
n=0
while [ $n -lt 40 ]; do
  n=$((n + 1))
  case $((n % 2)) in 0) new=a ;; *) new=b ;; esac
  case $((n % 4)) in 0) signal=TERM ;; *) signal=KILL ;; esac
  restormer-weights convert $new.safetensors -o models/w.json 2>>said &
  sleep "0.00$((n % 10))"
  kill -s $signal $! 2>/dev/null
  wait $! 2>/dev/null
  restormer-weights verify models/w.json >verified || echo "killed in round $n: no whole model"
done 2>>said

echo '--- what is left of killed runs goes with a later one that replaces its output'
for name in .restormer-0123456789abcdef .restormer-fedcba9876543210; do
  echo half >place/$name
  touch -d '2 days ago' place/$name
done
echo 'not ours' >place/.restormer-notes
cp old.png place/out.png
touch -d '2 days ago' place/.restormer-*
restormer-cli -q -w model.json in.png place/out.png
cmp place/out.png new.png && ls -A place
