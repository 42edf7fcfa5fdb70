# What vanishes or shrinks after it was found and before it is read: a message, a status, and nothing else suffers. A run
# looks for its pictures first, and then waits for its manifest, which comes through a pipe here.
. "$TESTS/programs/failures/functions.sh"
unset RESTORMER_WEIGHTS
"$make_model" --dim 2 --blocks 1,1 model.json
"$make_model" --dim 2 --blocks 1,1 --dual-pixel --inline dual.json
"$make_model" --dim 48 --blocks 2,2 large.json
mkfifo pipe.json

# late MANIFEST CHANGE COMMAND...: CHANGE happens when COMMAND has come to its manifest
late() {
  manifest=$1 change=$2
  shift 2
  "$@" &
  exec 3>pipe.json # both have opened it
  eval "$change"
  cat "$manifest" >&3
  exec 3>&-
  wait $!
  echo "exit $?"
}
cli='restormer-cli --progress none -w pipe.json'

echo '--- one picture'
echo 'what was there before' >out.png
late "$identity" 'rm in.png' $cli in.png out.png
cp "$pictures/rgb.png" in.png
late "$identity" 'rm in.png && mkdir in.png' $cli in.png out.png
rmdir in.png
cp "$pictures/rgb.png" in.png
late "$identity" 'head -c 1000 "$pictures/rgb.png" >in.png' $cli in.png out.png
cp "$pictures/rgb.png" in.png
cp "$pictures/rgb-right.png" right.png
late dual.json 'rm right.png' $cli --right right.png in.png out.png
cat out.png
echo '--- where it is to be written'
mkdir place
late "$identity" 'rmdir place' $cli in.png place/out.png

echo '--- one of a folder, the other ones are restored'
mkdir in
for name in a b c; do cp in.png in/$name.png; done
late "$identity" 'rm in/b.png' $cli in out
ls out
echo '--- the whole folder'
late "$identity" 'rm -r in' $cli in out >messages 2>&1
sort messages
echo '--- the folder of the results is made again'
mkdir in
cp in.png in/a.png
late "$identity" 'rm -r out' $cli in out
ls out

echo '--- weights'
sed 's/model.safetensors/gone.safetensors/' model.json >gone.json
mv model.safetensors gone.safetensors
late gone.json 'rm gone.safetensors' $cli in.png out.png
# Cut short when they are open, and about to be read by several threads: a run that is asked for more words tells what it
# has opened, and waits while nobody takes them.
[ -d /proc/$$/fd ] || { echo 'no /proc'; exit 77; }
mkfifo said
exec 4<>said
dd if=/dev/zero of=said bs=4096 oflag=nonblock 2>errors
restormer-cli -v -t 4 -w large.json in.png out.png 2>&4 4>&- &
run=$!
n=0
until ls -l /proc/$run/fd 2>&1 | grep -q large.safetensors || [ $n -ge 300 ]; do n=$((n + 1)) && sleep 0.1; done
sleep 0.3
head -c 500000 /dev/zero >short
cat short >large.safetensors
exec 5<said
tr -d '\0' <&5 4>&- >messages &
exec 4>&- 5<&-
wait $run
echo "exit $?"
wait
sed -n 's/of [0-9]*$/of SIZE/; s/^restormer-cli: //p' messages
cat out.png
