// A Redis of our own for one run: a free port on this machine alone, nothing kept, the expiry events on.

/** What `startServer` needs for a Redis in this temporary directory. */
export function redisServer({ binary, directory }) {
  const settings = { bind: '127.0.0.1', save: '', appendonly: 'no', 'notify-keyspace-events': 'Ex' }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return {
    name: 'Redis',
    command: binary,
    args: (port) => ['--port', String(port), '--dir', directory, ...args],
    options: { cwd: directory },
    isReady: (said) => /Ready to accept connections/.test(said),
    stopSignal: 'SIGTERM',
    url: (port) => `redis://127.0.0.1:${port}`,
  }
}
