# Standard input and output, and pipes by other names.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
cp "$pictures/rgb16.png" in.png
restormer-cli in.png expected.png
same() { cmp expected.png "$1" && echo 'the same'; }

try restormer-cli - out.png <in.png
same out.png
cat in.png | try restormer-cli - out.png
same out.png
try restormer-cli in.png - >out.png
cat in.png | restormer-cli - - | cat >out.png
same out.png
cat in.png | restormer-cli /dev/stdin /dev/stdout --format png | cat >out.png
same out.png
mkfifo pipe
cat in.png >pipe &
try restormer-cli pipe out.png
same out.png
echo '--- formats'
for format in jpeg bmp pfm; do
  restormer-cli --format $format in.png - >out.$format && restormer-cli in.png named.$format && cmp out.$format named.$format && echo "$format"
done
restormer-cli - -v - 2>/dev/null <in.png >out.png
same out.png
echo '--- a file called -'
cp in.png ./-
try restormer-cli ./- ./-.png
same ./-.png
echo '--- what cannot be read or written'
: | try restormer-cli - out.png
echo text | try restormer-cli - out.png
try restormer-cli - out.png <.
restormer-cli in.png - >/dev/full
echo "exit $?"
"$BUILD_DIR/tests/tools/on-terminal" true || exit 77
try "$BUILD_DIR/tests/tools/on-terminal" restormer-cli in.png - | tr -d '\r'
rm -f -- pipe -
ls
