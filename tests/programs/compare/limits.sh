# Limits decide about the exit status; a message says which one is not met.
. "$TESTS/programs/functions.sh"

ramp() {
  echo 'P2 12 12 255'
  i=0
  while [ $i -lt 144 ]; do
    echo $((i + ${1:-0} * (i % 2)))
    i=$((i + 1))
  done
}
quietly() {
  "$@" >/dev/null
  echo "exit $?"
}
ramp >a.pgm
ramp 3 >b.pgm
echo 'P2 1 1 255 0' >pixel.pgm

echo '# met'
quietly restormer-compare a.pgm b.pgm
quietly restormer-compare a.pgm b.pgm --max-diff 3
quietly restormer-compare --min-psnr 41 --min-ssim 0.9 a.pgm b.pgm
quietly restormer-compare --max-diff=0 --min-psnr=1000 --min-ssim=1 a.pgm a.pgm
echo '# not met'
quietly restormer-compare a.pgm b.pgm --max-diff 2.5
quietly restormer-compare a.pgm b.pgm --min-psnr 42
quietly restormer-compare a.pgm b.pgm --min-ssim 0.9999
quietly restormer-compare a.pgm b.pgm --max-diff 0 --min-psnr 100 --min-ssim 1
quietly restormer-compare pixel.pgm pixel.pgm --min-ssim 0
echo '# the same in JSON'
restormer-compare --json --max-diff 2 a.pgm b.pgm | grep -o '"met": [a-z]*'
restormer-compare --json --max-diff 3 a.pgm b.pgm | grep -o '"met": [a-z]*'
echo '# as in a loop of regression tests'
for golden in a b; do
  restormer-compare a.pgm $golden.pgm --max-diff 1 >/dev/null 2>&1 && echo "$golden passes" || echo "$golden fails"
done
