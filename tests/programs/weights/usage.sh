# The command line of restormer-weights: help, version, and every way to be wrong (status 2).
. "$TESTS/programs/functions.sh"

try restormer-weights --version
try restormer-weights info -V
try restormer-weights --help
for arguments in '' 'info -h' 'convert --help' 'verify -h'; do
  echo "== $arguments"
  # shellcheck disable=SC2086
  restormer-weights $arguments 2>&1 | head -n 1
done
echo '== wrong'
try restormer-weights
try restormer-weights repair w.json
try restormer-weights --size 1x1
try restormer-weights info
try restormer-weights info a.json b.json
try restormer-weights info --size 0x5 a.json
try restormer-weights info --size 5 a.json
try restormer-weights info --size 5x1000001 a.json
try restormer-weights info --size
try restormer-weights info --threads 0 a.json
try restormer-weights info -t 2x a.json
try restormer-weights info --frobnicate a.json
try restormer-weights info --json=yes a.json
try restormer-weights verify -o x.json a.json
try restormer-weights convert a.pth
try restormer-weights convert -o
try restormer-weights convert -o b.json
try restormer-weights convert a.pth b.pth -o b.json
ls
