--- notice: a line of text that its holders republish every two seconds.
--
-- A record type for the demonstration. Other types republish every hour.

return {
  name = "notice",
  version = 1,
  types = {
    notice = { max_size = 200, max_values = 4, ttl = 120, republish = 2 },
  },
}
