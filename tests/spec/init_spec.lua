local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")

local uv = require("luv")

local spec, local_node = support.spec, support.local_node

describe("kadenza", function()
  it("says its version, which is the core's", function()
    assert.equal("kadenza " .. core.version, kad._VERSION)
  end)

  it("adds no globals", function()
    local before, loaded = {}, {}
    for name in pairs(_G) do
      before[name] = true
    end
    for name, module in pairs(package.loaded) do
      if name:match("^kadenza") and name ~= "kadenza.core" then
        loaded[name] = module
        package.loaded[name] = nil
      end
    end
    require("kadenza")
    for name, module in pairs(loaded) do
      package.loaded[name] = module
    end
    for name in pairs(_G) do
      assert.is_true(before[name], "global " .. tostring(name))
    end
  end)

  describe("run", function()
    it("returns what the main task returns", spec(function()
      assert.same({ 1, nil, 3, n = 3 }, table.pack(kad.run(function()
        kad.sleep(0)
        return 1, nil, 3
      end)))
    end))

    it("raises the error of the main task as it is", spec(function()
      local problem = {}
      local passed, err = pcall(kad.run, function()
        kad.sleep(0)
        error(problem)
      end)

      assert.is_false(passed)
      assert.equal(problem, err)
    end))

    it("closes what is left open", spec(function(t)
      local node, waiting
      local closed = t.expect(1)
      kad.run(function()
        node = assert(kad.node(local_node()))
        waiting = kad.spawn(function()
          local _ <close> = setmetatable({}, { __close = closed })
          kad.sleep(1000)
        end)
        kad.sleep(0)
      end)

      assert.is_false(node:is_open())
      assert.equal("canceled", waiting:status())
    end))

    it("closes what is left open after an error, too", spec(function()
      local node
      pcall(kad.run, function()
        node = assert(kad.node(local_node()))
        error("broken")
      end)

      assert.is_false(node:is_open())
    end))

    it("raises the error of a task that nobody has awaited", spec(function()
      support.logged(function()
        assert.error_matches(function()
          kad.run(function()
            kad.spawn(error, "lost")
            kad.sleep(0)
          end)
        end, "lost")
      end)
    end))

    it("raises the error of the main task rather than another",
      spec(function()
        local events = support.logged(function()
          assert.error_matches(function()
            kad.run(function()
              kad.spawn(error, "lost")
              kad.sleep(0)
              error("main")
            end)
          end, "main")
        end)

        assert.matches("lost", events[1].fields.error)
      end))

    it("ends after its timeout", spec(function()
      local result, message, code = kad.run(function()
        kad.sleep(1000)
      end, { timeout = 0.001 })

      assert.is_nil(result)
      assert.equal("timeout", message)
      assert.equal("KAD_ETIMEOUT", code)
    end))

    it("may be called again", spec(function()
      for i = 1, 3 do
        assert.equal(i, kad.run(function()
          assert(kad.node(local_node()))
          return i
        end))
      end
    end))

    it("may not be called inside a task", spec(function()
      kad.run(function()
        assert.error_matches(function()
          kad.run(print)
        end, "inside a task")
      end)
    end))

    it("may simulate inside", spec(function()
      kad.run(function()
        local net <close> = kad.sim({ nodes = 5, seed = 1 })
        net:perform(function()
          assert(net.nodes[1]:put(kad.key("a"), "1"))
          kad.sleep(1000)
        end)
      end)
    end))

    for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
      it("closes everything and raises after " .. name, spec(function(t)
        local node
        local closed = t.expect(1)
        assert.error_matches(function()
          kad.run(function()
            node = assert(kad.node(local_node()))
            local _ <close> = setmetatable({}, { __close = closed })
            uv.kill(uv.os_getpid(), name:lower())
            kad.sleep(1000)
          end)
        end, "ended by " .. name)

        assert.is_false(node:is_open())
      end))
    end

    it("leaves a signal to the main task that asks for it", spec(function()
      assert.equal("mine", kad.run(function()
        return kad.wait(function(resume)
          kad.loop.network():on_signal("SIGTERM", function()
            resume("mine")
          end)
          uv.kill(uv.os_getpid(), "sigterm")
        end)
      end))
    end))

    it("names an unknown option", spec(function()
      support.assert_blames_caller("unknown option 'colour'", function()
        kad.run(print, { colour = 1 })
      end)
    end))
  end)

  describe("state", function()
    -- Runs `fn` with a folder that is removed afterwards.
    local function with_folder(fn)
      return spec(function()
        local folder, remove = support.temporary_folder()
        local passed, err = pcall(fn, folder)
        remove()
        if not passed then
          error(err, 0)
        end
      end)
    end

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
        assert(again:bootstrap()) -- nobody is named: the saved contact is asked
        assert.equal(host:id(), again:contacts()[1].id)
      end, { timeout = 20 })
    end))

    it("gives way to an id that is given", with_folder(function(folder)
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
      ["is of another version"] = "d8:contactsle2:id20:"
        .. ("x"):rep(20) .. "7:versioni2ee",
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

    it("leaves nothing but the file", with_folder(function(folder)
      kad.run(function()
        local node = assert(kad.node(local_node({ state = folder })))
        assert(node:save())
      end)
      local list = assert(io.popen("ls -A '" .. folder .. "'"))
      assert.equal("node.state\n", list:read("a"))
      list:close()
    end))
  end)
end)
