<?php
// Also php_fpm's script: the process that serves the request makes its calls.
require __DIR__ . '/../common/plan.php';

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
http_response_code(work($path, file_get_contents('php://input')) ? 200 : 502);
header('Content-Type: text/plain');
header('Content-Length: 5');
echo "done\n";
