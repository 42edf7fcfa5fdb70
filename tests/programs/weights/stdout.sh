# Results that cannot be written are status 5.
"$BUILD_DIR/tests/tools/make-model" --blocks 0 --refinement 0 --dim 1 w.json
for command in 'info w.json' 'info --json w.json' 'verify w.json' '--help' '--version'; do
  # shellcheck disable=SC2086
  restormer-weights $command >/dev/full
  echo "exit $?"
done
