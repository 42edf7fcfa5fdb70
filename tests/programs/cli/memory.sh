# A picture that memory does not suffice for: status 6, no output.
. "$TESTS/programs/cli/functions.sh"
if ldd "$BUILD_DIR/restormer-cli" | grep -q 'lib[at]san'; then
  echo 'sanitizers need more address space than a limit could leave'
  exit 77
fi
"$make_model" --dim 48 --blocks 1 model.json
{ printf 'P5\n3000 3000\n255\n' && head -c 9000000 /dev/zero; } >in.pgm

ulimit -v 500000
try restormer-cli -t 1 -w model.json --max-memory 1T in.pgm out.png
echo '--- limits that the pictures, and the program alone, do not fit into'
for limit in 30M 1M; do
  try restormer-cli -t 1 -w model.json --max-memory $limit in.pgm out.png 2>&1 | sed 's/; [0-9.]* of/; N of/'
done
ls -A
