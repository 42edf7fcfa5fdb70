# Outputs that cannot be written: status 5, no partial file, and an existing output stays as it was.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
cp "$pictures/rgb.png" in.png

try restormer-cli in.png missing/out.png
mkdir folder.png
mkdir folder.png/in.png
try restormer-cli in.png folder.png
try restormer-cli in.png in.png/out.png
for ending in png jpg bmp tga pfm; do
  ln -s /dev/full "full.$ending"
  try restormer-cli in.png "full.$ending"
  rm "full.$ending"
done

echo '--- a side that the format cannot hold is told before the network runs'
cp "$TESTS/data/images/wide.png" .
for ending in jpg tga; do try restormer-cli wide.png wide.$ending; done
rm wide.png

echo '--- no room for more than a few bytes'
echo 'what was there before' >out.bmp
for name in out.bmp new.bmp; do
  # Through a pipe, for the limit also holds for the file that collects this output.
  (ulimit -f 1 && try restormer-cli --no-sandbox in.png $name) 2>&1 | cat
done
(ulimit -f 1 && try restormer-cli in.png out.bmp) 2>&1 | sed 's/ [0-9]* bytes/ N bytes/'
cat out.bmp

echo '--- a link keeps being one, and keeps its target'
mkdir place
echo old >place/target.png
ln -s place/target.png link.png
try restormer-cli in.png link.png
[ -L link.png ] && cmp link.png place/target.png && restormer-compare in.png place/target.png --max-diff 0 >same && echo 'written behind the link'

echo '--- permissions as for any new file, and kept for an old one'
(umask 027 && restormer-cli in.png umask.png && ls -l umask.png | cut -c 1-10)
chmod 600 umask.png
restormer-cli in.png umask.png && ls -l umask.png | cut -c 1-10

rm -r place same
ls -A

echo '--- a link that leads nowhere'
ln -s loop.png loop.png
try restormer-cli in.png loop.png
