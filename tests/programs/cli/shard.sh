# --shard: every picture is in one part, and all parts are equally large.
. "$TESTS/programs/cli/functions.sh"
export RESTORMER_WEIGHTS="$identity"
mkdir in
for i in 01 02 03 04 05 06 07 08 09 10 11; do cp "$pictures/pixel.png" "in/picture-$i.png"; done
for i in 1 2 3; do
  restormer-cli --progress none --shard $i/3 in "out$i"
  echo "exit $?, $(ls "out$i" | wc -l | tr -d ' ') of 11"
done
cat out1/*.png >/dev/null && ls out1 out2 out3 | grep '^p' | sort | uniq -c | awk '{ n[$1]++ } END { for (i in n) print n[i], "pictures in", i, "part" }'
echo '--- a part stays what it is when some of it is done'
cp -r out2 again
rm again/picture-05.png again/picture-11.png
echo kept >again/picture-08.png
restormer-cli --progress none --skip-existing --shard 2/3 in again
ls again | tr '\n' ' '
cat again/picture-08.png
echo '--- subfolders and files count as one list'
mkdir in/sub
cp in/picture-01.png in/sub/a.png
for i in 1 2; do restormer-cli --progress none -r --shard $i/2 in/picture-11.png in/sub "both$i"/ && (cd "both$i" && echo *); done
rm -r in/sub
echo '--- a part may be empty'
restormer-cli --progress none --shard 12/12 in none
echo "exit $?"
ls
for shard in 0/3 4/3 1/0 1 1/ /3 a/b 1/2/3 -1/3 '1 /3' 1/9999999999; do
  try restormer-cli --shard "$shard" in none
done
