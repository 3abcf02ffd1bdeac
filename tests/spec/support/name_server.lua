--- A name server in network and mount namespaces of its own, and programs in
--- these namespaces.
--
--     local server = name_server.start(folder, { "10.77.0.1" })  -- or nil
--     server:set_zone("good.test 127.0.0.1\nslow.test hang\n")
--     local node = server:start({ "run", "--bootstrap", "good.test:7001" })
--     server:stop()

local process = require("support.process")
local uv = require("luv")

local M = {}

local Server = {}
Server.__index = Server

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

--- Starts a name server. It listens when it has a zone.
---@param folder string  for its files
---@param addresses? string[]  more addresses of the loopback interface
---@return table? server
---@return string? problem  this machine has no such namespaces
function M.start(folder, addresses)
  local args = { "-rnm", "/usr/bin/python3", "-B",
    process.folder() .. "/tests/spec/support/name_server.py", folder }
  table.move(addresses or {}, 1, addresses and #addresses or 0, #args + 1, args)
  local held = process.start(args, { path = "/usr/bin/unshare", open = true })
  local is_ready = pcall(held.wait_for, held, "ready\n", "stdout")
  if not is_ready then
    return nil, "no name server can run in a namespace here: " .. held.stderr
  end
  return setmetatable({ folder = folder, process = held }, Server)
end

--- Sets what the server answers from now on. Waits until it listens.
---@param text string
function Server:set_zone(text)
  write(self.folder .. "/zone.new", text)
  assert(os.rename(self.folder .. "/zone.new", self.folder .. "/zone"))
  for _ = 1, 500 do
    if uv.fs_stat(self.folder .. "/listens") then
      return
    end
    uv.sleep(10)
  end
  error("the name server does not listen", 2)
end

--- Sets options of the resolver, such as "timeout:30", for programs that start
--- from now on.
---@param text string
function Server:set_options(text)
  write(self.folder .. "/resolv.conf",
    "nameserver 127.0.0.53\noptions " .. text .. "\n")
end

--- Returns the number of queries for a name, of both families.
---@param name string
---@return integer count
function Server:queries(name)
  local file <close> = io.open(self.folder .. "/queries", "rb")
  local _, count = (file and file:read("a") or ""):gsub(
    "%f[^\0\n]" .. name:gsub("%p", "%%%0") .. " ", "")
  return count
end

local function in_namespace(self, args, options)
  options = options or {}
  local all = { "-t", tostring(self.process.pid), "-U", "-n", "-m",
    "--preserve-credentials", "--", options.path or process.program() }
  options.path = "/usr/bin/nsenter"
  return table.move(args, 1, #args, #all + 1, all), options
end

--- Starts a program in the namespaces, as `process.start` does.
function Server:start(args, options)
  return process.start(in_namespace(self, args, options))
end

--- Runs a program in the namespaces, as `process.run` does.
function Server:run(args, options)
  return process.run(in_namespace(self, args, options))
end

--- Starts a node in the namespaces; `address` is that of its first socket.
function Server:start_node(listen, args)
  local all = { "run", "--listen", listen, "--allow-local" }
  local node = self:start(table.move(args or {}, 1, args and #args or 0,
    #all + 1, all))
  node.address = node:wait_for("listening on [^%s]+ id=", "stdout"):match(
    "listening on ([^%s]+)")
  return node
end

--- Ends the server.
function Server:stop()
  self.process:close_input()
  self.process:wait()
end

return M
