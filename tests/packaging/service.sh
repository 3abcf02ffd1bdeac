# shellcheck shell=sh
# Tests the package in a Debian whose systemd runs (tests/packaging/boot): its
# service, an upgrade, removing and purging. Prints TAP; the last line says that
# it has come to its end.

# shellcheck source=tests/packaging/checks.sh
. /root/checks.sh

client() { # argument...
  kadenza "$@" --bootstrap 127.0.0.1:7001 --allow-local
}

property() { # name
  systemctl show --value -p "$1" kadenza
}

runs() {
  systemctl is-active --quiet kadenza
}

is_started() {
  runs && is "notify running" "$(property Type) $(property SubState)" &&
    is kadenza "$(stat -c %U "/proc/$(property MainPID)")" &&
    soon has_status "waiting for other nodes, 0 contacts"
}

has_status() { # text
  is "$1" "$(property StatusText)"
}

serves() {
  client put greeting hello && is hello "$(client get greeting)" &&
    http /health/live
}

# Succeeds if the node answers a request of HTTP with 200.
http() { # path
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/7080
printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$1" >&3
head -n 1 <&3' bash "$1" | grep ' 200 '
}

# Root may use the console of the service.
has_console() {
  kadenza status --state /var/lib/kadenza | grep 'waiting for other nodes'
}

state_is_private() {
  is "700 kadenza" "$(stat -c '%a %U' /var/lib/kadenza)" &&
    is "" "$(find /var/lib/kadenza -type f ! -perm 600)"
}

reloads() {
  sed -i 's/{ listen/{ log = "debug", listen/' /etc/kadenza/node.lua
  systemctl reload kadenza && runs && soon journal_has 'changed=log'
}

journal_has() { # text, option...
  text=$1
  shift
  journalctl --no-pager -u kadenza "$@" | grep -q "$text"
}

has_levels() {
  sed -i 's/listen = {/bootstrap = { "nowhere.invalid:1" }, listen = {/' \
    /etc/kadenza/node.lua
  systemctl restart kadenza && soon journal_has ' warn ' -p warning &&
    ! journal_has ' info ' -p warning
}

# A stopped process pings no more.
is_watched() {
  kill -STOP "$(property MainPID)"
  soon is_started_again && journal_has "Failed with result 'watchdog'"
}

is_started_again() {
  is "running 1" "$(property SubState) $(property NRestarts)"
}

# The id and the record of before.
keeps_records() {
  is "$id" "$(kadenza id --state /var/lib/kadenza)" &&
    is hello "$(client get greeting)"
}

takes_sockets() {
  systemctl stop kadenza
  systemctl start kadenza.socket
  soon kadenza ping 127.0.0.1:7002 --allow-local && runs &&
    journal_has 'listening on 127.0.0.1:7002' || return
  systemctl stop kadenza.socket kadenza && systemctl start kadenza
}

stops() {
  systemctl stop kadenza && is "success 0" \
    "$(property Result) $(property ExecMainStatus)"
}

upgrades() {
  systemctl start kadenza
  before=$(property MainPID)
  dpkg -i /root/newer.deb </dev/null && runs && [ "$before" != "$(property MainPID)" ]
}

removes() {
  dpkg -r kadenza </dev/null && ! runs && [ ! -e /usr/bin/kadenza ] &&
    [ -e /var/lib/kadenza/node.state ] && [ -e /etc/kadenza/node.lua ] &&
    getent passwd kadenza
}

installs_again() {
  dpkg -i /root/newer.deb </dev/null && runs
}

purges() {
  dpkg -P kadenza </dev/null && [ ! -e /var/lib/kadenza ] &&
    [ ! -e /etc/kadenza ] && ! getent passwd kadenza
}

check "systemd starts the service, as its user" is_started
check "the node serves in its sandbox" serves
check "root sees its status through the console" has_console
check "only its user reads its state" state_is_private
id=$(kadenza id --state /var/lib/kadenza)
check "systemctl reload reads the configuration" reloads
check "the journal has the levels of lines" has_levels
check "a node that stands is started again" is_watched
check "and keeps its id and records" keeps_records
check "sockets of systemd are used" takes_sockets
check "systemctl stop ends it cleanly" stops
check "an upgrade starts the node again" upgrades
check "with its id and records" keeps_records
check "removing ends it, and keeps state and configuration" removes
check "installed again it starts" installs_again
check "with what was there" keeps_records
check "purging ends it, and asks nothing" purges
echo "failed: ${failed:?}"
