# Disks that are full, read-only or mounted over the output. In a mount namespace of its own, which takes privileges.
. "$TESTS/programs/failures/functions.sh"
if [ -z "${RST_IN_NAMESPACE-}" ]; then
  unshare -m true 2>/dev/null || { echo 'no mount namespace without privileges'; exit 77; }
  RST_IN_NAMESPACE=yes exec unshare -m sh "$0"
fi
mkdir small
mount -t tmpfs -o size=64k tmpfs small || { echo 'no tmpfs can be mounted here'; exit 77; }
{ printf 'P6\n300 300\n255\n' && head -c 270000 /dev/urandom; } >in.ppm

echo '--- full in the middle of the picture'
echo 'what was there before' >small/out.png
try restormer-cli -q in.ppm small/out.png
try restormer-cli -q in.ppm small/new.bmp
cat small/out.png
ls -A small

echo '--- full from the beginning'
head -c 100000 /dev/zero >small/zeros 2>/dev/null
try restormer-cli -q in.png small/new.png
"$make_model" --dim 4 --blocks 1 two.json
try restormer-weights convert "$TESTS/data/checkpoints/bare.pth" -o small/model.json 2>&1 | sed 's/model[^:]*:/MODEL:/'
ls -A small

echo 'no picture' >broken.png
echo '--- read-only: found before a picture is read'
rm small/zeros
mount -o remount,ro small
try restormer-cli broken.png small/new.png
try restormer-cli broken.png small/out.png
cat small/out.png

echo '--- a mount point cannot be replaced: found before a picture is read'
echo 'what was there before' >over.png
mount --bind in.ppm over.png
try restormer-cli broken.png over.png
umount over.png
cat over.png
echo '--- and an input by another mount is still the input'
mount --bind in.png over.png
try restormer-cli in.png over.png
umount over.png
umount small
