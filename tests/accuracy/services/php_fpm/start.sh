#!/bin/sh
# php-fpm and the nginx in front of it; both end with the cgroup. $1: run directory, $2: php-fpm, $3: nginx
"$2" --allow-to-run-as-root --fpm-config "$1/fpm.conf" &
while [ ! -S "$1/fpm.sock" ]; do
  kill -0 $! || exit 1
  sleep 0.05
done
exec "$3" -c "$1/nginx.conf"
