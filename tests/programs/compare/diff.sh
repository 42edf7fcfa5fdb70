# --diff writes the difference, amplified so that the largest is white.
. "$TESTS/programs/functions.sh"

# JSON has all digits, whose last ones depend on the system's mathematics.
try_json() {
  try restormer-compare --json "$@" | sed 's/\(\.[0-9]\{6\}\)[0-9]*/\1/g'
}

echo 'P3 2 1 255 10 20 30 40 50 60' >a.ppm
echo 'P3 2 1 255 10 21 28 40 46 60' >b.ppm
echo 'P3 2 1 255 0 64 128 0 255 0' >expected.ppm

try restormer-compare a.ppm b.ppm --diff out.png
try restormer-compare out.png expected.ppm --max-diff 0
try_json a.ppm b.ppm --diff out.bmp
cmp out.bmp out.png >/dev/null || echo 'two formats'
try restormer-compare out.bmp expected.ppm --max-diff 0
echo '# equal pictures make a black one'
echo 'P3 2 1 255 0 0 0 0 0 0' >black.ppm
try restormer-compare a.ppm a.ppm --diff out.png
try restormer-compare out.png black.ppm --max-diff 0
echo '# a limit that is not met does not keep the picture from being written'
rm out.png
try restormer-compare a.ppm b.ppm --max-diff 1 --diff out.png
[ -f out.png ] && echo 'out.png is there'
echo '# where it cannot be written'
try restormer-compare a.ppm b.ppm --diff none/out.png
try restormer-compare a.ppm b.ppm --diff out.gif
try restormer-compare a.ppm out.png --diff ./out.png
ln -s /dev/full full.png
try restormer-compare a.ppm b.ppm --diff full.png
ls
