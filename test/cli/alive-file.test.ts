import assert from 'node:assert/strict'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultAliveFile } from '../../lib/cli/alive-file.js'

const os = createRequire(import.meta.url)('node:os') as typeof import('node:os')

describe('the file by which a worker shows that it works', () => {
  it('has a name although the user of a container has none', function () {
    if (process.getuid === undefined) return this.skip()
    const { userInfo } = os
    os.userInfo = () => {
      throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT')
    }
    syncBuiltinESMExports()
    try {
      assert.equal(defaultAliveFile(), join(tmpdir(), `order-timers-worker-${process.getuid()}`))
    } finally {
      os.userInfo = userInfo
      syncBuiltinESMExports()
    }
  })
})
