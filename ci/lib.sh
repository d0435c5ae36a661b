# Shared by ci/test and .ci/run: where things lie, and the step runner. To be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
cache=$root/target/ci
logs=$cache/logs
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$logs"
export CARGO_TERM_COLOR=never

# With NCGATE_TEST_STRICT=1 a step that printed "skipped: ..." has failed: what could not be tested is not tested.
strict=${NCGATE_TEST_STRICT:-0}

# step NAME COMMAND...: runs the command with its output in target/ci/logs/NAME.log, prints one line with the seconds it
# took, and ends the whole run with the tail of the log when it fails.
step() {
  local name=$1 log=$logs/$1.log begin=$SECONDS status=0
  shift
  # Not `command || status=$?`: there bash would ignore `set -e` inside a function.
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" = 0 ] && [ "$strict" = 1 ] && grep -q '^[[:space:]]*skipped:' "$log"; then
    status=skipped
  fi
  { grep -E '^[[:space:]]*(skipped:|note: corpus)' "$log" || true; } | sort -u | sed 's/^[[:space:]]*/       /'
  if [ "$status" = 0 ]; then
    printf 'ok     %-14s %4d s\n' "$name" $((SECONDS - begin))
    return 0
  fi
  printf 'FAILED %-14s %4d s  (%s)\n' "$name" $((SECONDS - begin)) "status $status, whole log: $log" >&2
  [ "$status" = skipped ] || tail -n 80 "$log" | cut -c 1-500 >&2
  exit 1
}

# free_port: a TCP port on loopback that nobody listens on now, nor an outgoing connection gets before it is used.
free_port() { python3 tests/netconfd/netconfd.py free-port; }

# wait_for SECONDS COMMAND...: tries the command until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
