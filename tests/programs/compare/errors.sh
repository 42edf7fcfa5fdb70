# Wrong usage and files that cannot be used.
. "$TESTS/programs/functions.sh"

echo 'P2 2 1 255 10 20' >a.pgm
echo 'P2 1 2 255 10 20' >turned.pgm
echo 'P3 2 1 255 1 2 3 4 5 6' >color.ppm
echo 'GIF89a' >animated.gif
echo 'no picture' >text.png
: >empty.png
printf '\211PNG\r\n\032\n\0\0' >cut.png

echo '# usage'
try restormer-compare
try restormer-compare a.pgm
try restormer-compare a.pgm a.pgm a.pgm
try restormer-compare --what a.pgm a.pgm
try restormer-compare -x a.pgm a.pgm
try restormer-compare a.pgm a.pgm --max-diff
try restormer-compare a.pgm a.pgm --max-diff ''
try restormer-compare a.pgm a.pgm --max-diff -1
try restormer-compare a.pgm a.pgm --max-diff 1x
try restormer-compare a.pgm a.pgm --min-psnr nan
try restormer-compare a.pgm a.pgm --min-ssim 1.01
try restormer-compare --json=yes a.pgm a.pgm
echo '# files'
try restormer-compare none.png a.pgm
try restormer-compare a.pgm none.png
try restormer-compare . a.pgm
for file in animated.gif text.png empty.png cut.png; do
  try restormer-compare a.pgm $file
done
try restormer-compare a.pgm turned.pgm
try restormer-compare a.pgm color.ppm
echo '# standard output'
restormer-compare a.pgm a.pgm >/dev/full
echo "exit $?"
restormer-compare --help >/dev/full
echo "exit $?"
