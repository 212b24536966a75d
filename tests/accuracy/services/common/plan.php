<?php
// The work a request asks for (services/README.md), for the PHP services; calls by PHP's own HTTP stream wrapper.

const INDEX_AT = 3104;
const DISTINCT = ['/users', '/stock', '/price', '/offers', '/audit'];

function steps(string $body): array {
  $d = array_map('hexdec', str_split(substr($body, 3072, INDEX_AT - 3072)));
  $calls = array_values(array_filter(range(0, $d[0] % 5), fn($i) => $i === 0 || $d[1 + $i] >= 4));
  $groups = match ($d[6] % 3) {
    0 => array_chunk($calls, 1),
    1 => [$calls],
    2 => array_values(array_filter([array_slice($calls, 0, 1), array_slice($calls, 1)])),
  };
  return array_map(fn($group) => [$d[7 + $group[0]] * 250, $group], $groups);
}

function call(string $path, string $body, int $index): bool {
  $url = 'http://127.0.0.1:' . getenv('BACKEND_PORT') . ($path === '/order' ? DISTINCT[$index] : '/query');
  $context = stream_context_create(['http' => [
    'method' => 'POST', 'protocol_version' => '1.1', 'header' => "Content-Type: text/plain\r\nConnection: close",
    'content' => substr_replace($body, sprintf('%02d', $index), INDEX_AT, 2),
  ]]);
  return file_get_contents($url, false, $context) !== false;
}

function work(string $path, string $body): bool {
  foreach (steps($body) as [$pause, $calls]) {
    usleep($pause);
    foreach ($calls as $index) {
      if (!call($path, $body, $index)) return false;
    }
  }
  return true;
}
