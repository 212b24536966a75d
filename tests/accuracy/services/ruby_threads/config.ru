# A Rack application under Puma's threads: each call is made by a thread of its own, which the request's thread joins.
# Ruby keeps threads that ended for the next that is begun.
require 'net/http'
require_relative '../common/plan'

run(lambda do |env|
  body = env['rack.input'].read
  ok = Plan.steps(body).all? do |pause, calls|
    sleep(pause) if pause.positive?
    calls.map { |index| Thread.new { Plan.call(env['PATH_INFO'], body, index) } }.all?(&:value)
  end
  [ok ? 200 : 502, { 'Content-Type' => 'text/plain', 'Content-Length' => '5' }, ["done\n"]]
end)
