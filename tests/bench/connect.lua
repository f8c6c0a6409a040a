-- sysbench: connect, one point select, close, in every event.
sysbench.cmdline.options = {}

function thread_init()
  driver = sysbench.sql.driver()
end

function event()
  local connection = driver:connect()
  connection:query(string.format("SELECT c FROM sbtest1 WHERE id=%d", sysbench.rand.uniform(1, 1000)))
  connection:disconnect()
end
