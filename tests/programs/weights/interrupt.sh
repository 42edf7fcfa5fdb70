# convert that is asked to stop: status 130, soon, and the model that was there is still there.
. "$TESTS/programs/functions.sh"
make_model=$BUILD_DIR/tests/tools/make-model

"$make_model" --dim 2 --blocks 1 model.json
"$make_model" --full large.json
restormer-weights verify model.json
for signal in TERM HUP; do
  restormer-weights convert large.safetensors -o model.json &
  sleep 0.2
  kill -s $signal $!
  wait $!
  echo "exit $?"
done
restormer-weights verify model.json
ls -A
