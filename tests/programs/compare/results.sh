# What restormer-compare says of two pictures, as text and as JSON.
. "$TESTS/programs/functions.sh"

# JSON has all digits, whose last ones depend on the system's mathematics.
try_json() {
  try restormer-compare --json "$@" | sed 's/\(\.[0-9]\{6\}\)[0-9]*/\1/g'
}

# A grey picture of 16 x 12 in which every pixel is $1, as PGM.
plain() {
  echo 'P2 16 12 255'
  i=0
  while [ $i -lt 192 ]; do
    echo "$1"
    i=$((i + 1))
  done
}
plain 100 >a.pgm
plain 105 >b.pgm
plain 26985 | sed '1s/255/65535/' >wide.pgm
echo 'P2 2 1 255 10 20' >small.pgm
echo 'P2 2 1 255 10 24' >small-other.pgm

echo '# equal'
try restormer-compare a.pgm a.pgm
echo '# different'
try restormer-compare a.pgm b.pgm
echo '# 8 and 16 bits'
try restormer-compare b.pgm wide.pgm
echo '# smaller than the window of SSIM'
try restormer-compare small.pgm small-other.pgm
echo '# JSON'
try_json a.pgm a.pgm
try_json a.pgm b.pgm
try_json small.pgm small-other.pgm
cp a.pgm 'quote"d.pgm'
try_json 'quote"d.pgm' a.pgm
