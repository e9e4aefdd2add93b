// docs/incidents.md: it knows every alert, and each command that it names is one, with options that it takes. The commands themselves are tested in
// test/cli.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { commandOf, parseOptions } from '../../lib/cli/arguments.js'
import { root, textOf } from '../support/book.js'

const page = textOf('docs/incidents.md')

describe('the page on incidents', () => {
  it('says what to do for each alert, and for no other', () => {
    const alerts = readFileSync(join(root, 'example/deploy/prometheus/alerts.yml'), 'utf8')
    const named = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name).sort()
    const listed = [...page.matchAll(/^\| `(OrderTimers\w+)` \|/gm)].map(([, name]) => name).sort()
    assert.deepEqual(listed, named)
  })

  it('names only commands that exist, with options that they take', () => {
    const typed = [...page.matchAll(/(?:^npx |`(?:npx )?|bin\/)order-timers ([^`#>\n]+)/gm)].map(([, words = '']) => words.trim())
    assert.ok(typed.length > 12, typed.join('\n'))
    for (const words of typed) {
      const [name = '', ...args] = words.split(/\s+/)
      const { positionals } = parseOptions(commandOf(name), args)
      assert.ok(positionals.length >= 0, words)
    }
  })
})
