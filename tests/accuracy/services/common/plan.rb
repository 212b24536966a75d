# The work a request asks for (services/README.md), for the Ruby services.
module Plan
  INDEX_AT = 3104
  DISTINCT = %w[/users /stock /price /offers /audit].freeze

  # [[pause in seconds, [indexes of the calls to make at once]]]
  def self.steps(body)
    d = body[3072...INDEX_AT].each_char.map { |c| c.to_i(16) }
    calls = (0..(d[0] % 5)).select { |i| i.zero? || d[1 + i] >= 4 }
    groups = case d[6] % 3
             when 0 then calls.map { |i| [i] }
             when 1 then [calls]
             else [calls[0, 1], calls[1..]].reject(&:empty?)
             end
    groups.map { |group| [d[7 + group[0]] / 4000.0, group] }
  end

  # One kept connection per thread.
  def self.call(path, body, index)
    http = Thread.current[:backend] ||= Net::HTTP.start('127.0.0.1', ENV.fetch('BACKEND_PORT').to_i, read_timeout: 60)
    out = body.dup
    out[INDEX_AT, 2] = format('%02d', index)
    http.post(path == '/order' ? DISTINCT[index] : '/query', out, 'Content-Type' => 'text/plain').code == '200'
  end
end
