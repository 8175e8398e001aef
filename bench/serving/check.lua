-- wrk's hooks: rows in rotation, every body compared with the one that was read and found right beforehand.
-- wrk gives each thread a Lua state of its own and no name to connections: with one connection per thread the state
-- knows which answer it waits for.
local threads = {}
local number, size = 0, 0

function setup(thread)
  thread:set("offset", #threads)
  table.insert(threads, thread)
end

function init(args)
  if args[2] == "unchecked" then
    response = nil
  end
  dofile(args[1]) -- sets exchanges = {{request, answer}, ...}
  size = #exchanges
  number = (offset * 37) % size
  wrong = 0
  failed = 0
end

function request()
  number = number % size + 1
  return exchanges[number][1]
end

function response(status, headers, body)
  if status ~= 200 then
    failed = failed + 1
  elseif body ~= exchanges[number][2] then
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local wrongs, failures = 0, 0
  for _, thread in ipairs(threads) do
    wrongs = wrongs + thread:get("wrong")
    failures = failures + thread:get("failed")
  end
  local right = summary.requests - wrongs - failures
  local errors = summary.errors
  failures = failures + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "wrong": %d, "failed": %d}\n',
    right, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    wrongs, failures))
end
