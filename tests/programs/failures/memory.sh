# Allocations of a run fail in turn, one in each run, of the libraries' as well: a run that it stops says so with status 6 and
# leaves the existing output alone, and one that goes on writes what it always writes. MALLOC_STEP=1: all allocations, some
# thousand runs, and not one in MALLOC_STEP.
. "$TESTS/programs/failures/functions.sh"
if ldd "$BUILD_DIR/restormer-cli" | grep -q 'lib[atu]*san'; then
  echo 'sanitizers have allocators of their own'
  exit 77
fi
${CC:-cc} -O1 -shared -fPIC -w -o fail.so "$TESTS/programs/failures/fail-malloc.c" 2>errors ||
  { echo 'this C library has no names for its allocators'; exit 77; }
images=$TESTS/data/images
# Thousands of runs: where outputs do not wait for a disk.
if [ -w /dev/shm ]; then
  here=$(mktemp -d /dev/shm/restormer-memory.XXXXXX) || exit 1
  trap 'rm -rf "$here"' EXIT
  cp fail.so in.png "$here" && cd "$here" || exit 1
fi

# Some libraries crash without memory (libtiff, and libheif's exceptions: in the helper), or take it for damage (libwebp,
# libzip, libtiff). Then it is told so, with status 3 or 4: with $untold.
untold=

# each NAME OUTPUT COMMAND...: OUTPUT is what COMMAND writes
each() {
  rm -f out.*
  name=$1 output=$2
  shift 2
  COUNT_MALLOC=$PWD/count LD_PRELOAD=$PWD/fail.so "$@" >printed 2>errors ||
    { grep -q 'this build' errors || { echo "$name: does not work:"; cat errors; }; return; }
  count=$(cat count)
  mv "$output" good
  i=0 told=0 wrong=0
  while [ "$i" -lt "$count" ] && [ "$wrong" -lt 5 ]; do
    echo old >"$output"
    FAIL_MALLOC=$i LD_PRELOAD=$PWD/fail.so "$@" >printed 2>errors
    status=$?
    case $status in
      0) cmp -s "$output" good || grep -q 'left out' errors || { echo "$name: allocation $i of $count: another output"; cat errors; wrong=$((wrong + 1)); } ;;
      6) told=$((told + 1))
        if [ "$(wc -l <errors)" -ne 1 ] || [ "$(cat "$output")" != old ]; then
          echo "$name: allocation $i of $count: no message, or the output is not the old one"
          wrong=$((wrong + 1))
        fi ;;
      3 | 4)
        if [ -z "$untold" ] || [ "$(wc -l <errors)" -ne 1 ] || [ "$(cat "$output")" != old ]; then
          echo "$name: allocation $i of $count: status $status"
          cat errors
          wrong=$((wrong + 1))
        fi ;;
      *) echo "$name: allocation $i of $count: status $status"
        cat errors
        wrong=$((wrong + 1)) ;;
    esac
    i=$((i + ${MALLOC_STEP:-13}))
  done
  [ "$told" -gt 0 ] || echo "$name: only $told of $count were told"
}

cli='restormer-cli --progress none -t 1'
each 'PNG, from the start' out.png $cli in.png out.png
FROM_SANDBOX=yes # what comes before that is the same for all
export FROM_SANDBOX
untold=yes
for file in t_tiles.tif t_planes16.tif w_lossy.webp w_lossless.webp h.heic; do
  each "$file" out.png $cli "$images/$file" out.png
done
restormer-cli -q "$images/icc.png" in.tif 2>errors && each 'to TIFF' out.tif $cli in.tif out.tif
each params.pth out.json restormer-weights convert "$TESTS/data/checkpoints/params.pth" -o out.json
untold=
for file in icc.png icc.jpg progressive.jpg; do each "$file" out.png $cli "$images/$file" out.png; done
for format in jpg webp bmp tga pfm; do each "to $format" out.$format $cli in.png out.$format; done
each legacy.pth out.json restormer-weights convert "$TESTS/data/checkpoints/legacy.pth" -o out.json
each 'two pictures' out.html restormer-compare --html out.html in.png in.png
echo 'all have been told'
