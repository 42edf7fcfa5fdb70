# --html in a browser: the slider shows A at its left, B at its right, and moves.
. "$TESTS/programs/functions.sh"
for browser in chromium chromium-browser google-chrome; do
  command -v "$browser" >/dev/null && break
  browser=
done
[ -n "$browser" ] || { echo 'no Chromium here'; exit 77; }
# A red and a blue picture of 200 x 100.
plain() { printf 'P6\n200 100\n255\n' && awk -v pixel="$1" 'BEGIN { for (i = 0; i < 20000; i++) printf "%s", pixel }'; }
plain 'z  ' >a.ppm
plain '  z' >b.ppm
restormer-compare --html page.html a.ppm b.ppm >/dev/null

HOME=$PWD
export HOME
open() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1 --window-size=400,300 "$@" 2>/dev/null
}
open --dump-dom file://"$PWD/page.html" | grep -o '<td>[^<]*dB</td>\|^<img class="[a-z]*"'

# The pixel of the page at column $1 and row 50.
pixel() { restormer-cli -q -w "$TESTS/programs/cli/identity.json" --region "$1,50,1,1" shot.png pixel.bmp && od -A n -t u1 -j 54 -N 3 pixel.bmp; }
for at in 25 75; do
  open --screenshot="$PWD/shot.png" "file://$PWD/page.html#$at"
  echo "--- $at %: blue, green, red of columns 20, 100, 180"
  pixel 20
  pixel 100
  pixel 180
done
