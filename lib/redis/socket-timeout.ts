// When a connection is lost while a command is unanswered, ioredis 5 keeps the timer of its `socketTimeout`. That would destroy the next connection, which is
// well, and its own silence would go unnoticed until then. So the timer ends with its connection, as it does in ioredis 6.

import type { Redis } from 'ioredis'

export function endingItsTimeout(client: Redis): Redis {
  const timed = client as unknown as { socketTimeoutTimer: NodeJS.Timeout | undefined }
  return client.on('close', () => {
    clearTimeout(timed.socketTimeoutTimer)
    timed.socketTimeoutTimer = undefined
  })
}
