# What is written: --format, --depth, --quality, and sizes that a format cannot hold, told before the run.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
cp "$pictures/rgb.png" in.png
depth() { od -A n -t u1 -j 24 -N 1 "$1"; }
kind() { od -A n -t x1 -N 3 "$1"; }

echo '--- format, whatever the name'
for format in png jpg bmp pfm JPEG; do
  try restormer-cli --format $format in.png "out.$format.xyz"
  kind "out.$format.xyz"
done
for format in gif xyz ''; do
  try restormer-cli --format "$format" in.png out.png
done

echo '--- said where the name is that of another format'
try restormer-cli --format jpeg in.png out.png
try restormer-cli -q --format jpeg in.png out.png
rm out.png

echo '--- depth: the numbers are the same ones, 257 times as large'
echo 'P2 2 1 255  10 200' >in.pgm
echo 'P2 2 1 65535  2570 51400' >expected.pgm
try restormer-cli --depth 16 in.pgm out.png
depth out.png
restormer-compare expected.pgm out.png --max-diff 0 | head -n 1
try restormer-cli --depth 8 "$pictures/rgb16.png" out.png
depth out.png
try restormer-cli --depth auto "$pictures/rgb16.png" out.png
depth out.png
echo '--- of a PFM 16 bits are kept'
restormer-cli in.pgm in.pfm && restormer-cli in.pfm out.png && depth out.png
restormer-compare expected.pgm out.png --max-diff 0 | head -n 1
try restormer-cli --depth 16 in.png out.jpg
try restormer-cli --depth 16 --format jpg in.png in.pgm folder/
for depth in 1 32 x ''; do
  try restormer-cli --depth "$depth" in.png wrong.png
done

echo '--- quality'
restormer-cli --quality 20 in.png low.jpg && restormer-cli --quality 98 in.png high.jpg
[ "$(wc -c <low.jpg)" -lt "$(wc -c <high.jpg)" ] && echo 'smaller'
restormer-cli in.png default.jpg && restormer-cli --quality 95 in.png 95.jpg && cmp default.jpg 95.jpg && echo 'default 95'
for quality in 0 101 x; do
  try restormer-cli --quality "$quality" in.png wrong.jpg
done

echo '--- too large for the format, or for the limit'
{ printf 'P5\n70000 3\n255\n' && head -c 210000 /dev/zero; } >wide.pgm
for name in wide.jpg wide.tga; do
  try restormer-cli -v wide.pgm $name 2>&1 | grep -v 'parameters\|^wide.pgm'
done
try restormer-cli --preview wide.pgm wide.jpg
try restormer-cli --max-pixels 1073 "$pictures/rgb.png" out.png 2>&1 | sed "s|$here|HERE|"
try restormer-cli --max-pixels 1K "$pictures/rgb.png" out.png 2>&1 | sed "s|$here|HERE|"
for limit in 0 -1 1.5 x; do
  try restormer-cli --max-pixels "$limit" in.png wrong.png
done
ls
