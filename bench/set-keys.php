<?php
// What a shop's PHP does when an order is shipped: SETEX by phpredis. Prints each key and when it expires, milliseconds since 1970.
[, $host, $port, $prefix, $seconds, $firstId, $count, $spacingMs] = $argv;
$redis = new Redis();
$redis->connect($host, (int) $port);
for ($id = (int) $firstId; $id < $firstId + $count; $id++) {
    $redis->setex("$prefix$id", (int) $seconds, '1');
    echo "$prefix$id ", $redis->rawCommand('PEXPIRETIME', "$prefix$id"), "\n";
    usleep(1000 * (int) $spacingMs);
}
