-- The scenario scripts/scenarios/nats.lua with more nodes: gets must not wait
-- for answers that a NAT keeps back.

local scenario = require("kadenza.sim.scenario")

local NODES <const> = 600

local nats = assert(scenario.load("scripts/scenarios/nats.lua"))
nats.nodes = NODES
return nats
