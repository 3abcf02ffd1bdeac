local address_list = require("kadenza.address_list")
local support = require("tests.spec.support")

describe("a file of addresses", function()
  local folder, remove, path

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/list"
  end)

  after_each(function()
    remove()
  end)

  local function read(text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
    file:close()
    return address_list.read(path)
  end

  it("has an address, a prefix or a range a line", function()
    assert.same({ "192.0.2.1", "192.0.2.0/24", "192.0.2.1 - 192.0.2.9",
      "2001:db8::1", "2001:db8::/32" }, read("192.0.2.1\n192.0.2.0/24\n"
      .. "192.0.2.1 - 192.0.2.9\n2001:db8::1\n2001:db8::/32"))
  end)

  it("may have comments, blank lines, spaces and CRLF", function()
    assert.same({ "192.0.2.1", "192.0.2.2", "192.0.2.3" }, read(
      "\xef\xbb\xbf# mine\r\n\r\n  192.0.2.1\t# one\r\n \n192.0.2.2#two\n"
      .. "#\n192.0.2.3\r\n\r\n"))
    assert.same({}, read(""))
    assert.same({}, read("# nothing\n"))
  end)

  it("is named with the line of a mistake", function()
    for text, message in pairs({
      ["192.0.2.1\n\n192.0.2.999\n"] = ":3: no address, prefix or range: "
        .. "'192.0.2.999'",
      ["192.0.2.0/33"] = ":1: no address, prefix or range: '192.0.2.0/33'",
      ["# x\r\n192.0.2.1 192.0.2.2\r\n"] = ":2: no address, prefix or range: "
        .. "'192.0.2.1 192.0.2.2'",
      ["192.0.2.1:6881"] = ":1: no address, prefix or range: "
        .. "'192.0.2.1:6881'",
      ["\0"] = ":1: no address, prefix or range: '\0'",
    }) do
      local list, problem, code = read(text)
      assert.is_nil(list)
      assert.equal(path .. message, problem)
      assert.equal("KAD_EINVAL", code)
    end
  end)

  it("shows the start of a long line", function()
    local _, problem = read(("x"):rep(10000))
    assert.is_true(#problem < 200 + #path)
  end)

  it("has a million lines and no more", function()
    local list = read(("\n"):rep(999999) .. "192.0.2.1\n")
    assert.same({ "192.0.2.1" }, list)
    local _, problem, code = read(("\n"):rep(1000000) .. "192.0.2.1\n")
    assert.equal(path .. ": more than 1000000 lines", problem)
    assert.equal("KAD_ETOOBIG", code)
  end)

  it("has 16 MiB and no more", function()
    local _, problem, code = read(("#"):rep((16 << 20) + 1))
    assert.matches("larger than 16777216 bytes", problem)
    assert.equal("KAD_ETOOBIG", code)
  end)

  it("must exist", function()
    local list, problem, code = address_list.read(folder .. "/none")
    assert.is_nil(list)
    assert.matches("/none", problem)
    assert.equal("KAD_ENOTFOUND", code)
  end)
end)

describe("node:block and node:exempt", function()
  local kad = require("kadenza")

  it("block and exempt addresses", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    net:perform(function()
      local node, other = net.nodes[1], net.nodes[2]
      local from = other:addresses()[1]
      local address = node:addresses()[1]
      assert.is_truthy(other:ping(address))
      local ip = from:match("^(.*):%d+$")

      assert.is_true(node:block({ ip .. "/32" }))
      local reply, _, code = other:ping(address)
      assert.is_nil(reply)
      assert.equal("KAD_ETIMEOUT", code)
      assert.is_true(node:stats().dropped_blocked > 0)
      for _, contact in ipairs(node:contacts()) do
        assert.not_equal(from, contact.address)
      end
      local _, message, blocked = node:ping(from)
      assert.equal("KAD_EBLOCKED", blocked)
      assert.matches("blocked", message)

      assert.is_true(node:block({}))
      assert.is_truthy(other:ping(address))
      assert.is_true(node:exempt({ "10.0.0.0-10.0.0.9", "2001:db8::1" }))
    end)
  end))

  it("raise for an item that is no range, and change nothing",
    support.spec(function()
      local net <close> = kad.sim({ nodes = 1, seed = 1 })
      local node = net.nodes[1]
      for _, method in ipairs({ "block", "exempt" }) do
        assert.error_matches(function()
          node[method](node, { "192.0.2.1", "192.0.2.1:5" })
        end, "item 2 is no address, prefix or range: 192.0.2.1:5")
        assert.error_matches(function()
          node[method](node, { 7 })
        end, "item 1 is no address")
        assert.error_matches(function()
          node[method](node, "192.0.2.1")
        end, "list must be a table")
      end
    end))
end)
