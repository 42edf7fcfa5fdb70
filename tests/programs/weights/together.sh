# Two conversions of different values into one model, at once and again and again: one of the two, whole.
. "$TESTS/programs/functions.sh"
make_model=$BUILD_DIR/tests/tools/make-model
"$make_model" --dim 2 --blocks 1 a.json
"$make_model" --dim 2 --blocks 1 --seed 9 b.json
cmp -s a.safetensors b.safetensors && echo 'they are the same'

n=0
while [ $n -lt 20 ]; do
  n=$((n + 1))
  [ $((n % 2)) -eq 0 ] || rm -f both*
  restormer-weights convert a.safetensors -o both.json 2>>said &
  first=$!
  restormer-weights convert b.safetensors -o both.json 2>>said &
  wait $first || echo "exit $?"
  wait $! || echo "exit $?"
  restormer-weights verify both.json >verified || echo "round $n: not whole"
done
grep -v 'is there already and is left as it is' said
ls -A | sed 's/-[0-9a-f]*\././' | sort -u
