# Two runs that write one output: one of the two, whole.
. "$TESTS/programs/failures/functions.sh"
"$make_model" --dim 4 --blocks 1,1 model.json
restormer-cli -q -w model.json in.png other.png
restormer-cli -q in.png same.png

for n in 1 2 3 4 5 6 7 8 9 10; do
  restormer-cli -q -w model.json in.png out.png &
  first=$!
  restormer-cli -q in.png out.png &
  wait $first || echo "exit $?"
  wait $! || echo "exit $?"
  cmp -s out.png other.png || cmp -s out.png same.png || echo "round $n: neither the one nor the other"
done
ls -A
