<?php
// A plain PHP page for the built-in server: answers any path, after asking the next service.
$next = getenv('NEXT');
$body = file_get_contents('php://input');
if (!$next) {
    echo "php\n";
    return;
}
$call = stream_context_create(['http' => [
    'method' => $_SERVER['REQUEST_METHOD'],
    'header' => "Content-Type: application/octet-stream\r\n",
    'content' => $body,
]]);
echo 'php > ' . file_get_contents($next . '/' . basename($_SERVER['REQUEST_URI']), false, $call);
