# shellcheck shell=sh
# What the tests of the package have in common; to be sourced.

passed=0
failed=0

# Runs a command; what it prints is shown if it fails.
check() { # what, command
  what=$1
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok - $what"
  else
    failed=$((failed + 1))
    echo "not ok - $what"
    echo "$output" | tail -n 20 | sed 's/^/# /'
  fi
}

# Prints both, and fails, if they differ.
is() { # expected, actual
  [ "$1" = "$2" ] && return
  echo "expected: $1"
  echo "is:       $2"
  return 1
}

# Waits for a command to succeed, for 20 seconds at most.
soon() { # command
  for _ in $(seq 400); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  "$@"
}
