local core = require("kadenza.core")
local dkjson = require("dkjson")
local process = require("tests.spec.support.process")
local progress = require("kadenza.cli.progress")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")

local HASHES <const> = { ("01"):rep(20), ("02"):rep(20), ("03"):rep(20) }

-- Returns the lines of a text, sorted.
local function sorted_lines(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return lines
end

-- Returns the documents that a command has printed.
local function documents(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do
    list[#list + 1] = assert(dkjson.decode(line))
  end
  return list
end

describe("kadenza crawl", function()
  local nodes, folder, remove

  -- Starts `count` nodes on an address; each but the first joins the first.
  local function start_nodes(listen, count)
    local list = {}
    for i = 1, count do
      local args = { "run", "--listen", listen, "--allow-local" }
      if i > 1 then
        table.move({ "--bootstrap", list[1].address }, 1, 2, #args + 1, args)
      end
      list[i] = process.start(args)
      list[i].address = list[i]:wait_for("id=%x+\n", "stdout"):match(
        "listening on (%S+) id=")
      if i > 1 then
        list[i]:wait_for("joined", "stderr")
      end
    end
    return list
  end

  before_each(function()
    folder, remove = support.temporary_folder()
    nodes = start_nodes("127.0.0.1:0", 4)
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function with_nodes(args, through)
    local all = table.move(args, 1, #args, 1, {})
    for _, node in ipairs(through or { nodes[1] }) do
      table.move({ "--bootstrap", node.address }, 1, 2, #all + 1, all)
    end
    all[#all + 1] = "--allow-local"
    return all
  end

  local function announce(hash, through)
    local done = process.run(with_nodes({ "announce", hash, "80" }, through))
    assert.equal(0, done.status, done.stderr)
  end

  local function crawl(args, through)
    return process.run(with_nodes({ "crawl", table.unpack(args) }, through))
  end

  it("prints each info hash once, and a summary", function()
    for _, hash in ipairs(HASHES) do
      announce(hash)
    end
    local done = crawl({})
    assert.equal(0, done.status)
    assert.same(HASHES, sorted_lines(done.stdout))
    assert.matches("^4 nodes: 4 give samples, 0 answer without, 0 are silent, "
      .. "0 were not asked\n3 info hashes; the nodes say they hold 12, each "
      .. "counted once a holder\n4 queries in %d+ s; ended: walked\n$",
      done.stderr)
  end)

  it("walks IPv4 and IPv6", function()
    local six = start_nodes("[::1]:0", 3)
    announce(HASHES[1])
    announce(HASHES[2], { six[1] })
    local done = crawl({ "--json" }, { nodes[1], six[1] })
    assert.equal("", done.stderr)
    local found = documents(done.stdout)
    local summary = table.remove(found)
    assert.equal(7, summary.supporting)
    assert.same({ "walked", 2 }, { summary.ended, #found })
    table.sort(found, function(a, b)
      return a.infohash < b.infohash
    end)
    assert.same({ HASHES[1], HASHES[2] },
      { found[1].infohash, found[2].infohash })
    assert.matches("^127%.0%.0%.1:%d+$", found[1].address)
    assert.matches("^%[::1%]:%d+$", found[2].address)
  end)

  it("prints nodes with --nodes", function()
    announce(HASHES[1])
    local done = crawl({ "--nodes" })
    local lines = sorted_lines(done.stdout)
    assert.equal(4, #lines)
    for _, line in ipairs(lines) do
      assert.matches("^" .. ("%x"):rep(40) .. " 127%.0%.0%.1:%d+ 1$", line)
    end
    local found = documents(crawl({ "--nodes", "--json", "--total",
      "2" }).stdout)
    assert.equal(3, #found)
    assert.same({ { HASHES[1] }, 1 }, { found[1].samples, found[1].num })
    assert.equal("total", found[3].ended)
  end)

  it("goes on with its state, and refuses a file of another kind", function()
    local state = folder .. "/crawl.state"
    announce(HASHES[1])
    assert.equal(HASHES[1] .. "\n", crawl({ "--state", state }).stdout)
    local listed = process.run({ "-l", state }, { path = "/bin/ls" })
    assert.equal("-rw-------", listed.stdout:sub(1, 10))
    local again = crawl({ "--state", state })
    assert.same({ 0, "" }, { again.status, again.stdout })
    assert.matches("1 info hashes", again.stderr)

    assert(core.write_file(state, "my notes\n"))
    local refused = crawl({ "--state", state })
    assert.same({ 1, "" }, { refused.status, refused.stdout })
    assert.equal(("kadenza: %s: it is not the state of a crawl, or it is cut: "
      .. "it is left unchanged; give another file\n"):format(state),
      refused.stderr)
    assert.equal("my notes\n", core.read_file(state, 100))
  end)

  it("ends with its summary and saves at Ctrl-C", function()
    local state = folder .. "/crawl.state"
    announce(HASHES[1])
    local walk = process.start(with_nodes({ "crawl", "--rate", "1", "--state",
      state }))
    walk:wait_for(HASHES[1], "stdout")
    walk:kill("sigint")
    assert.equal(0, walk:wait(3))
    assert.matches("ended: signal\n$", walk.stderr)
    assert.equal("", crawl({ "--state", state }).stdout)
  end)

  it("ends after --seconds", function()
    local done = crawl({ "--rate", "1", "--seconds", "1" })
    assert.equal(0, done.status)
    assert.matches("ended: seconds\n$", done.stderr)
  end)

  it("ends quietly with its reader", function()
    for _, hash in ipairs(HASHES) do
      announce(hash)
    end
    local words = { process.program(), "crawl", "--rate", "1", "--nodes",
      "--bootstrap", nodes[1].address, "--allow-local" }
    local done = process.run({ "-c", "(" .. table.concat(words, " ")
      .. "; echo status $? >&2) | head -n 1" }, { path = "/bin/sh" })
    assert.matches("^%x+ %S+ 3\n$", done.stdout)
    assert.equal("status 141\n", done.stderr)
  end)

  it("says when its state cannot be written, before it asks", function()
    local done = crawl({ "--state", folder .. "/missing/state" })
    assert.same({ 1, "" }, { done.status, done.stdout })
    assert.matches("missing/state", done.stderr, 1, true)
  end)

  it("refuses a wrong option", function()
    for _, case in ipairs({ { "--rate", "0" }, { "--rate", "1001" },
      { "--total", "none" }, { "--state", "" } }) do
      local done = crawl(case)
      assert.same({ 2, "" }, { done.status, done.stdout })
      assert.matches("kadenza: " .. case[1], done.stderr, 1, true)
    end
  end)

  it("shows its progress on a terminal, and lines between", function()
    announce(HASHES[1])
    local args = with_nodes({ "crawl", "--rate", "2", "--nodes" })
    local done = terminal.run(args, { columns = 80 })
    assert.equal(0, done.status)
    assert.matches("\r\27%[K%[[#.]+%] %d of 4 nodes, 1 info hashes, 0:0%d",
      done.stdout)
    assert.matches("\r\27%[K" .. ("%x"):rep(40) .. " 127", done.stdout)
    args[#args + 1] = "--quiet"
    assert.is_nil(terminal.run(args, { columns = 80 }).stdout:find("[#", 1,
      true))
  end)
end)

describe("the progress line of a crawl", function()
  it("fits the terminal", function()
    local summary = { nodes = 199999, waiting = 123456, infohashes = 1000000,
      seconds = 86399 }
    for columns = 20, 100, 10 do
      local drawn = ""
      local line = progress.new(function(text)
        drawn = drawn .. text
      end, function()
        return 1
      end, {
        columns = function()
          return columns
        end,
        can_redraw = function()
          return true
        end,
      })
      line:show_crawl(summary)
      local text = drawn:gsub("^\r\27%[K", "")
      assert.is_true(#text < columns)
      assert.matches("^%[?[#.]*%]? ?76543 of 199", text)
    end
  end)
end)
