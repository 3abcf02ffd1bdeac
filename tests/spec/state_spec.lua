local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")

local local_node, with_folder = support.local_node, support.with_folder

describe("kadenza.state", function()
  it("keeps id and contacts", with_folder(function(folder)
    kad.run(function()
      local host = assert(kad.node(local_node()))
      local options =
        local_node({ listen = "127.0.0.2:0", state = folder .. "/a/b" })
      local node = assert(kad.node(options))
      assert(node:bootstrap(host:addresses()))
      local id = node:id()
      node:close()

      local again = assert(kad.node(options))
      assert.equal(id, again:id())
      assert(again:bootstrap()) -- through the saved contact
      assert.equal(host:id(), again:contacts()[1].id)
    end, { timeout = 20 })
  end))

  it("keeps the saved contacts while the node has none",
    with_folder(function(folder)
      kad.run(function()
        local host = assert(kad.node(local_node()))
        local options =
          local_node({ listen = "127.0.0.2:0", state = folder })
        local node = assert(kad.node(options))
        assert(node:bootstrap(host:addresses()))
        node:close()
        assert(kad.node(options)):close()
        assert(kad.node(options)):close()

        local again = assert(kad.node(options))
        assert(again:bootstrap())
        assert.equal(host:id(), again:contacts()[1].id)
      end, { timeout = 20 })
    end))

  for name, share in pairs({ ["half"] = 2, ["four fifths"] = 5 }) do
    it("lets a node join although " .. name .. " of its contacts are gone",
      with_folder(function(folder)
        local net <close> = kad.sim({ nodes = 40, seed = 7 })
        net:perform(function()
          local node = assert(net:open({ state = folder }))
          assert(node:bootstrap(net.nodes[1]:addresses()))
          kad.sleep(600)
          local left = {}
          for i, contact in ipairs(node:contacts()) do
            left[contact.id] = i % share == 0
          end
          node:close()
          for _, other in ipairs(net.nodes) do
            if other:is_open() and left[other:id()] == false then
              other:close()
            end
          end

          local again = assert(net:open({ state = folder }))
          assert(again:bootstrap())
          assert(again:put(kad.key("a"), "v"))
          kad.sleep(60)
          assert.equal("healthy", (again:state()))
          local good = 0
          for _, contact in ipairs(again:contacts()) do
            assert.is_true(left[contact.id] ~= false)
            good = good + 1
          end
          assert.is_true(good >= 5, good)
          again:close()
        end)
      end))
  end

  it("is not written by a node whose policies are wrong",
    with_folder(function(folder)
      kad.run(function()
        local address
        local node, message = kad.node(local_node({
          state = folder,
          policies = { function(opened)
            address = opened:addresses()[1]
            error("no policy")
          end },
        }))

        assert.is_nil(node)
        assert.matches("no policy", message)
        assert.is_nil(io.open(folder .. "/node.state"))
        assert(kad.node(local_node({ listen = address })))
      end)
    end))

  it("is overruled by an id in the options", with_folder(function(folder)
    kad.run(function()
      assert(kad.node(local_node({ state = folder }))):close()
      local id = kad.key("mine")
      local node = assert(kad.node(local_node({ state = folder, id = id })))

      assert.equal(id, node:id())
    end)
  end))

  for name, bytes in pairs({
    ["is cut short"] = "d8:contactsle2:id20:xxxx",
    ["is empty"] = "",
    ["is of no version"] = "d8:contactsle2:id20:"
      .. ("x"):rep(20) .. "7:versioni0ee",
    ["has no contacts"] = "d2:id20:" .. ("x"):rep(20) .. "7:versioni1ee",
    ["has a wrong contact"] = "d8:contactsl4:nopee2:id20:"
      .. ("x"):rep(20) .. "7:versioni1ee",
    ["is no dictionary"] = "i5e",
  }) do
    it("sets a file aside that " .. name, with_folder(function(folder)
      local path = folder .. "/node.state"
      assert(core.write_file(path, bytes))

      local events = support.logged(function()
        kad.run(function()
          local node = assert(kad.node(local_node({ state = folder })))
          assert.equal(20, #node:id())
        end)
      end)

      assert.equal("warn", events[1].level)
      assert.equal(path, events[1].fields.file)
      local aside = assert(io.open(path .. ".corrupt", "rb"))
      assert.equal(bytes, aside:read("a"))
      aside:close()
    end))
  end

  it("names a folder that is a file", with_folder(function(folder)
    assert(core.write_file(folder .. "/file", "x"))
    kad.run(function()
      for _, path in ipairs({ "/file", "/file/below" }) do
        local node, message, code =
          kad.node(local_node({ state = folder .. path }))

        assert.is_nil(node)
        assert.matches(folder .. path, message, 1, true)
        assert.equal("KAD_ESYSTEM", code)
      end
    end)
  end))

  it("leaves only the file, and no lock", with_folder(function(folder)
    kad.run(function()
      local node = assert(kad.node(local_node({ state = folder })))
      assert(node:save())
    end)
    local list = assert(io.popen("ls -A '" .. folder .. "'"))
    assert.equal("node.state\n", list:read("a"))
    list:close()
  end))
end)
