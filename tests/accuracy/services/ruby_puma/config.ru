# A Rack application under Puma's threads: the thread that runs the request makes its calls with Net::HTTP.
require 'net/http'
require_relative '../common/plan'

run(lambda do |env|
  body = env['rack.input'].read
  ok = Plan.steps(body).all? do |pause, calls|
    sleep(pause) if pause.positive?
    calls.all? { |index| Plan.call(env['PATH_INFO'], body, index) }
  end
  [ok ? 200 : 502, { 'Content-Type' => 'text/plain', 'Content-Length' => '5' }, ["done\n"]]
end)
