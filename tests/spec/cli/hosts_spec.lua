-- Nodes on hosts with several addresses, as a user runs them. Each test makes
-- two hosts, namespaces joined by a link: `here` has 10.77.0.1 and fd77::1,
-- `there` has 10.77.0.2.
-- Tests scripts/kadenza/cli/sending.lua, scripts/kadenza/bootstrap.lua.

local process = require("support.process")

local NAMESPACE <const> = "unshare -rnmpf --kill-child --mount-proc"

-- Makes the hosts and defines what the scripts use.
local PRELUDE <const> = [[
set -eu
PATH=$PATH:/usr/sbin:/sbin
log=$(mktemp)
unshare --net sleep 60 & there=$!
trap 'rm -f $log' EXIT
space() { readlink /proc/$1/ns/net; }
until [ "$(space $there)" != "$(space self)" ]; do sleep 0.01; done
on_there() { nsenter --net=/proc/$there/ns/net "$@"; }
ip link add west type veth peer name west netns $there
ip link set lo up
ip link set west up
ip addr add 10.77.0.1/24 dev west
ip addr add fd77::1/64 dev west nodad
on_there ip link set lo up
on_there ip link set west up
on_there ip addr add 10.77.0.2/24 dev west
# Waits until the log has a line.
saw() {
  for i in $(seq 500); do
    grep -q -- "$1" $log && return
    sleep 0.02
  done
  echo "no $1"
  cat $log
  exit 1
}
]]

-- Runs a script of a shell in a namespace, and returns what it prints. All that
-- it has started ends with it.
local function run(script)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(PRELUDE, script)
  file:close()
  local pipe <close> = assert(io.popen(("KADENZA=%s timeout 50 %s sh %s 2>&1 "
    .. "</dev/null"):format(process.program(), NAMESPACE, path)))
  local output = pipe:read("a")
  os.remove(path)
  return output
end

local function with_hosts(body)
  return function()
    if not os.execute(NAMESPACE .. " true 2>/dev/null") then
      pending("this system allows no network namespace")
      return
    end
    body()
  end
end

describe("a node on a host with several addresses", function()
  it("answers from the address that was asked", with_hosts(function()
    local output = run([[
$KADENZA run --listen 0.0.0.0:7101 --listen [::]:7101 --allow-local \
  >$log 2>&1 &
saw 'listening on \[::\]'
for to in 127.0.0.1 127.0.0.2 10.77.0.1 [::1] [fd77::1]; do
  $KADENZA ping $to:7101 --allow-local >/dev/null && echo "$to answers"
done
]])
    assert.equal("127.0.0.1 answers\n127.0.0.2 answers\n10.77.0.1 answers\n"
      .. "[::1] answers\n[fd77::1] answers\n", output)
  end))

  it("joins by the socket that has a route", with_hosts(function()
    local output = run([[
on_there $KADENZA run --listen 0.0.0.0:7110 --allow-local >/dev/null 2>&1 &
for order in '127.0.0.1:7101 10.77.0.1:7101' '10.77.0.1:7102 127.0.0.1:7102'; do
  : >$log
  $KADENZA run --listen ${order% *} --listen ${order#* } --allow-local \
    --bootstrap 10.77.0.2:7110 >$log 2>&1 &
  node=$!
  saw ' joined'
  kill -USR1 $node
  saw statistics
  grep -o 'send_einval=[0-9]*' $log
done
]])
    assert.equal("send_einval=0\nsend_einval=0\n", output)
  end))

  it("says that no socket has a route", with_hosts(function()
    local output = run([[
$KADENZA run --listen 127.0.0.1:7101 --listen [::1]:7101 --allow-local \
  --bootstrap 10.77.0.2:7110 >$log 2>&1 &
saw 'no socket of this node has a route'
$KADENZA ping --listen [::1]:0 [fd77::2]:7110 --allow-local || echo $?
]])
    assert.equal("kadenza: [fd77::2]:7110 is an address to which no socket of "
      .. "this node has a route (listen on an address that has one)\n1\n",
      output)
  end))

  it("says all that keeps it from joining", with_hosts(function()
    local output = run([[
$KADENZA get key --listen 10.77.0.1:0 --allow-local --bootstrap 10.88.0.1:1 \
  --bootstrap '[fd77::2]:7110' || echo $?
$KADENZA get key --listen 10.77.0.1:0 --allow-local --bootstrap 10.77.0.2:1 \
  --bootstrap '[fd77::2]:7110' || echo $?
]])
    local no_route = "10.88.0.1:1 is an address to which no socket of this "
      .. "node has a route (listen on an address that has one)"
    local no_family = "[fd77::2]:7110 is an IPv6 address, and no socket of "
      .. "this node serves IPv6 (listen on [::]:0, too)"
    assert.equal("kadenza: --bootstrap " .. no_family .. "; " .. no_route
      .. "\n1\nkadenza: could not join through 10.77.0.2:1, [fd77::2]:7110: "
      .. "no reply from 10.77.0.2:1; " .. no_family .. "\n1\n", output)
  end))

  it("says which addresses it leaves out", with_hosts(function()
    local output = run([[
on_there $KADENZA run --listen 0.0.0.0:7110 --allow-local >/dev/null 2>&1 &
$KADENZA run --listen 10.77.0.1:7101 --allow-local --bootstrap 10.88.0.1:1 \
  --bootstrap 10.77.0.2:7110 >$log 2>&1 &
saw ' joined'
grep -o 'left out.*no socket of this node has a route' $log
]])
    assert.equal('left out error="10.88.0.1:1 is an address to which no socket '
      .. "of this node has a route\n", output)
  end))

  it("tells a command what the system refuses to send", with_hosts(function()
    local output = run([[
ip route add prohibit 10.88.0.0/16
$KADENZA ping 10.88.0.1:1 --allow-local || echo $?
$KADENZA get key --allow-local --bootstrap 10.88.0.1:1 || echo $?
]])
    local cannot = "cannot send to 10.88.0.1:1: permission denied (EACCES), "
      .. "a firewall or a route forbids it\n1\n"
    assert.equal("kadenza: no answer in time: " .. cannot
      .. "kadenza: could not join through 10.88.0.1:1: no reply from "
      .. "10.88.0.1:1: " .. cannot, output)
  end))

  it("logs what the system refuses to send", with_hosts(function()
    local output = run([[
on_there $KADENZA run --listen 0.0.0.0:7110 --allow-local >/dev/null 2>&1 &
$KADENZA run --listen 10.77.0.1:7101 --allow-local \
  --bootstrap 10.77.0.2:7110 >$log 2>&1 &
node=$!
saw ' joined'
ip route replace prohibit 10.77.0.2/32
on_there $KADENZA ping 10.77.0.1:7101 --allow-local >/dev/null 2>&1 || :
saw 'cannot send datagrams'
grep -o 'error="[^"]*"' $log
kill -USR1 $node
saw statistics
grep -o 'send_eacces=[1-9]' $log | sed 's/[1-9]$/some/'
ip route del prohibit 10.77.0.2/32
on_there $KADENZA ping 10.77.0.1:7101 --allow-local >/dev/null && echo answers
]])
    assert.equal('error="permission denied (EACCES)"\nsend_eacces=some\n'
      .. "answers\n", output)
  end))
end)
