# --html: one page with both pictures, their difference and the numbers, and nothing from elsewhere.
. "$TESTS/programs/functions.sh"
echo 'P3 2 1 255  255 0 0  0 0 0' >a.ppm
echo 'P3 2 1 255  0 0 0  0 51 0' >'b<"&.ppm'
try restormer-compare --html page.html a.ppm 'b<"&.ppm'
grep -v '^<img\|^[.a-z].*[{}]$\|^  ' page.html
grep -c 'src=\|href=\|url(\|http' page.html
picture() {
  sed -n "s/^<img class=\"$1\".*base64,\([^\"]*\)\">\$/\1/p" page.html | base64 -d >"$1.png"
}
picture a
picture b
picture difference
restormer-compare a.ppm a.png --max-diff 0 | head -n 1
restormer-compare 'b<"&.ppm' b.png --max-diff 0 | head -n 1
echo 'P3 2 1 255  255 0 0  0 51 0' >expected.ppm
restormer-compare expected.ppm difference.png --max-diff 0 | head -n 1
echo '--- 16 bits and alpha'
try restormer-compare --html page.html "$TESTS/programs/cli/pictures/rgba16.png" "$TESTS/programs/cli/pictures/rgba16.png" --json | grep -o '"met.*\|exit.*'
picture a
restormer-compare --json a.png a.png | grep -o '"channels.*"white": [0-9]*'
echo '--- what cannot be'
try restormer-compare --html a.ppm a.ppm a.ppm
try restormer-compare --html missing/page.html a.ppm a.ppm
try restormer-compare --html /dev/full a.ppm a.ppm
ls
try restormer-compare --html - a.ppm a.ppm
