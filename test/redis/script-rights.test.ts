import assert from 'node:assert/strict'
import { REDIS_COMMANDS } from '../../lib/redis/rights.js'
import { SCRIPTS } from '../../lib/redis/scripts.generated.js'

/** The scripts that a web process calls, without the heartbeat: only that of a worker counts lateness. */
const OF_WEB = ['Arm', 'Disarm', 'Postpone', 'Move', 'Revive', 'DeadPage', 'Time', 'KeyExpires', 'Probe']

/** Includes branches that no test with a restricted user may have reached. */
const commandsIn = (lua: string) =>
  [...lua.matchAll(/(?:redis\.p?call|callInPortions|partition|try|named)\('(\w+)'/g)].map(([, name = '']) => name.toLowerCase())

describe('each command in a Lua script', () => {
  it('is among the rights of a worker', () => {
    for (const [name, { lua }] of Object.entries(SCRIPTS)) {
      const lacking = commandsIn(lua).filter((command) => !REDIS_COMMANDS.worker.includes(command))
      assert.deepEqual(lacking, [], name)
      assert.ok(commandsIn(lua).length > 0, name)
    }
  })

  it('is among those of a web process, if that calls the script', () => {
    for (const name of OF_WEB) {
      const { lua } = SCRIPTS[`orderTimers${name}` as keyof typeof SCRIPTS]
      const lacking = commandsIn(lua).filter((command) => !REDIS_COMMANDS.web.includes(command))
      assert.deepEqual(lacking, [], name)
    }
  })
})
