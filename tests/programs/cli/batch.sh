# Several pictures over one model: names of outputs, folders, what is refused before anything runs, and what fails.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
run() { try restormer-cli --progress none "$@"; }
list() { (cd "$1" && find . -type f | sort | tr '\n' ' '); echo; }

mkdir -p in/sub/deep in/.hidden
cp "$pictures/rgb.png" in/a.png
cp "$pictures/grey.png" in/B.PNG
cp "$pictures/rgba.png" in/sub/a.png
cp "$pictures/rgb16.png" in/sub/deep/c.png
cp "$pictures/row.png" in/.hidden/h.png
cp "$pictures/row.png" in/.h.png
echo 'P2 2 1 255 10 20' >in/p.pgm
echo text >in/notes.txt

echo '--- files, to a folder that is made'
run in/a.png in/p.pgm in/sub/deep/c.png one/two/
list one
restormer-compare in/a.png one/two/a.png --max-diff 0 | head -n 1
restormer-compare in/p.pgm one/two/p.png --max-diff 0 | head -n 1
restormer-compare in/sub/deep/c.png one/two/c.png --max-diff 0 | head -n 1
echo '--- to one that is there, without a slash'
run in/a.png one
list one
echo '--- a folder, and its subfolders'
run in two
list two
run -r in three/
list three
restormer-compare in/sub/a.png three/sub/a.png --max-diff 0 | head -n 1
echo '--- the output folder within the input folder is not an input, links to folders are not followed'
ln -s .. in/sub/up
run -r in in/out
run -r in in/out
list in/out
rm -r in/out in/sub/up
echo '--- suffix and format'
run --suffix _x --format jpg in/a.png in/B.PNG four/
list four
run --suffix .clean in/a.png in
list in
rm in/a.clean.png
echo '--- what is there is left out'
rm three/sub/a.png
echo kept >three/a.png
run -v --skip-existing -r in three 2>&1 | grep -v 'pixels\|^plan\|^  \|^restored\|^peak\|identity.json'
list three
cat three/a.png
run --skip-existing in/a.png three/a.png
cat three/a.png
run --skip-existing -r in three

echo '--- refused before anything runs'
run in/a.png in/sub/a.png five/
run --format png in/p.pgm in/a.png in/sub/deep/c.png in/p.pgm five/
run in/a.png in/p.pgm in
run in/a.png in/p.pgm five
run in/a.png in/p.pgm in/B.PNG
run in/a.png in/p.pgm -
run - five/
run in/sub/deep five -r --suffix _y --right in/a.png
run --suffix _x in/a.png five.png
run --suffix /x in/a.png five/
run in/missing five/
mkdir empty
run empty five
run -r empty five
ls -A

echo '--- one that fails does not keep the others'
echo broken >in/b.png
mkdir six
mkdir six/B.PNG
run in six 2>&1 | sort
list six
run in/b.png six/
run -j 3 in/missing.png in/a.png in/b.png in/p.pgm seven/ 2>&1 | sort
list seven
echo '--- none of them is written where the folder cannot be made'
run in/a.png in/p.pgm in/b.png/seven/
echo '--- as many at once as there are, with the same results'
rm in/b.png
run -j 8 -r in eight/
list eight
run -j 1 -r in again/
diff -r eight again && echo 'the same'
for jobs in 0 -1 257 x; do run -j $jobs in eight; done

echo '--- second views in a folder of their own'
"$make_model" --dual-pixel dual.json
mkdir left right
cp "$pictures/rgb.png" left/a.png
cp "$pictures/rgb-right.png" right/a.png
cp "$pictures/rgb.png" left/b.png
run -w dual.json --right right left nine
list nine
restormer-cli -w dual.json --right right/a.png left/a.png nine/a2.png && cmp nine/a.png nine/a2.png && echo 'the same'
