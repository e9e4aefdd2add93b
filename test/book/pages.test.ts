// What can be said of the book without running it: each block is of a kind that something compiles, runs or reads; links lead somewhere; files
// that are named exist; figures are those that were measured; translations have the same code.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { type Block, blocks, blocksOf, commandsOf, fileOf, pages, root, textOf } from '../support/book.js'

/** Each language that a block may have, and what holds it. All but the untitled ones begin with a comment that names their file. */
const LANGUAGES: Record<string, { heldBy: string; untitled?: true }> = {
  ts: { heldBy: 'test/book/typescript.test.ts' },
  js: { heldBy: 'test/book/typescript.test.ts' },
  sql: { heldBy: 'test/book/configuration.test.ts' },
  conf: { heldBy: 'test/book/configuration.test.ts' },
  acl: { heldBy: 'test/operations/rights.test.ts', untitled: true },
  console: { heldBy: 'CONSOLES', untitled: true }, // what is typed after `$ `, and what that prints
  sh: { heldBy: 'COMMANDS', untitled: true },
  json: { heldBy: 'this file', untitled: true },
  log: { heldBy: 'this file', untitled: true }, // lines as they are written to stderr
  text: { heldBy: 'this file', untitled: true }, // drawings, and code from which something is left out (…)
}

/** What types the commands of a page's consoles and compares what they print. */
const CONSOLES: Record<string, string> = {
  'docs/cli.md': 'test/cli/page.test.ts',
  'docs/getting-started.md': 'test/book/getting-started.test.ts',
}

/** Pages whose shell is run as it stands, line by line. */
const WHOLE = ['docs/getting-started.md']

/** What runs each command of the other blocks of shell. */
const COMMANDS: Record<string, string> = {
  'npm install express-order-timers ioredis': 'test/package/package.test.ts',
  'npm install express sequelize pg': 'test/package/package.test.ts',
  'npm install @js-temporal/polyfill': 'test/package/package.test.ts',
  'npm test': '.ci/run',
  'npm run test:operations': '.ci/run',
  'npm run test:pages': '.ci/run',
  'npm run test:package': '.ci/run',
  'npm run test:topologies': '.ci/run',
  'npm run test:postgres': 'scripts/postgres-versions.mjs',
  'npm run matrix': 'scripts/matrix.mjs',
  'npm run check': '.ci/run',
  'npm run demo -- --once': 'test/example.test.ts',
  'npm run demo': 'test/pages/shop.test.ts',
  'npm run bench': 'bench/main.ts',
  'npm run chaos -- --seconds 600 --workers 3': 'chaos/chaos.ts',
  'npm run chaos -- --seconds 45 --workers 3': 'chaos/chaos.ts',
  'npm run chaos -- --seconds 45 --workers 3 --json': 'chaos/chaos.ts',
  'npm run mutants': 'chaos/mutants/main.ts',
  'npx order-timers migration': 'test/cli/main.test.ts',
  'npx order-timers migration --sql': 'test/cli/main.test.ts',
  'npx order-timers migration --trigger --kind order_confirm': 'test/cli/main.test.ts',
  'npx order-timers plan': 'test/cli/main.test.ts',
  'npx order-timers status': 'test/cli/main.test.ts',
  'npx order-timers show 34': 'test/cli/page.test.ts',
  'npx order-timers settle order_pay 34 --unverified --reason "closed by phone"': 'test/worker/verifying/verifying.test.ts',
  'npx order-timers doctor': 'test/operations/doctor/command.test.ts',
  'npx order-timers sweep --stale': 'test/cli/main.test.ts',
  'npx order-timers dead': 'test/cli/commands/dead.test.ts',
  'npx order-timers retry order_confirm 34': 'test/cli/commands/dead.test.ts',
  'npx order-timers release order_confirm': 'test/cli/main.test.ts',
  'npx order-timers history order_confirm': 'test/cli/commands/history.test.ts',
  'npx order-timers history order_confirm --since 2h --ids > undo.txt': 'test/cli/commands/history.test.ts',
  'npx order-timers extend order_confirm --where country=TW --by 3d --dry-run': 'test/cli/commands/bulk.test.ts',
  'npx order-timers extend order_confirm --where country=TW --by 3d --yes --reason typhoon': 'test/cli/commands/bulk.test.ts',
  'npx order-timers runs': 'test/cli/commands/bulk.test.ts',
  'npx order-timers runs order_confirm --resume': 'test/cli/commands/bulk.test.ts',
  'npx order-timers runs order_confirm --abandon': 'test/cli/commands/bulk.test.ts',
  'npx order-timers worker --json': 'test/cli/commands/worker.test.ts',
  "npx order-timers worker --fallback '*/30 * * * * *'": 'test/cli/commands/worker.test.ts',
  'npx order-timers worker --check': 'test/cli/commands/worker.test.ts',
}

/** Sites that pages link to. Whether they answer is not asked: tests need no network. */
const SITES = [
  'cloud.google.com',
  'devcenter.heroku.com',
  'docs.aws.amazon.com',
  'docs.bullmq.io',
  'docs.digitalocean.com',
  'docs.railway.com',
  'github.com',
  'help.heroku.com',
  'learn.microsoft.com',
  'neon.com',
  'redis.io',
  'repost.aws',
  'supabase.com',
  'techcommunity.microsoft.com',
  'upstash.com',
  'www.dragonflydb.io',
]

const where = ({ page, line }: Block) => `${page}:${line}`

describe('the book', () => {
  it('has no block that nothing compiles, runs or reads', () => {
    for (const block of blocks) {
      const language = LANGUAGES[block.language]
      assert.ok(language, `${where(block)}: the languages are ${Object.keys(LANGUAGES).join(', ')}, not "${block.language}"`)
      if (!language.untitled) assert.ok(block.title, `${where(block)}: its first line must be a comment with its file's name`)
      if (block.language === 'console') assert.ok(CONSOLES[original(block.page)], `${where(block)}: nothing types this`)
      if (language.heldBy.endsWith('.ts')) assert.ok(existsSync(join(root, language.heldBy)), language.heldBy)
    }
  })

  it('has no command that nothing runs', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    for (const block of blocks.filter(({ language, page }) => language === 'sh' && !WHOLE.includes(original(page)))) {
      for (const command of commandsOf(block)) {
        const [, file, title] = /^npm test -- (\S+)(?: -g "(.+)")?$/.exec(command) ?? []
        if (file !== undefined) {
          assert.ok(readFileSync(join(root, file), 'utf8').includes(title ?? ''), `${where(block)}: ${file} has no "${title}"`)
          continue
        }
        const runner = COMMANDS[command]
        assert.ok(runner && existsSync(join(root, runner)), `${where(block)}: nothing runs: ${command}`)
        const [, script] = /^npm run (\S+)/.exec(command) ?? []
        if (script !== undefined) assert.ok(script in scripts, `${where(block)}: package.json has no script ${script}`)
      }
    }
  })

  it('has valid JSON, log lines as they are written, and text that nothing can run', () => {
    const line = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warn|error) express-order-timers [A-Z_]+: \S.*$/
    for (const block of blocks) {
      if (block.language === 'json') assert.doesNotThrow(() => JSON.parse(block.text), where(block))
      if (block.language === 'log') for (const text of block.text.trim().split('\n')) assert.match(text, line, where(block))
      if (block.language === 'text') assert.match(block.text, /[─│→…]/, `${where(block)}: this is neither a drawing nor shortened (…)`)
    }
  })

  it('has links that lead to an existing page, heading or picture', () => {
    for (const [page, text] of pages) {
      for (const [, link = ''] of prose(text).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link)) {
          assert.ok(SITES.includes(new URL(link).host), `${page}: ${link} is on none of the sites in this test`)
          continue
        }
        const [path, anchor] = link.split('#') as [string, string?]
        const target = path === '' ? page : normalize(join(dirname(page), path))
        assert.ok(existsSync(join(root, target)), `${page} links to ${link}`)
        if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), `${page} links to ${link}, and there is no such heading`)
      }
    }
  })

  it('names only files that exist', () => {
    for (const [page, text] of pages) {
      if (page === 'CHANGELOG.md') continue
      for (const [path] of text.matchAll(/(?<![\w/.-])(lib|test|scripts|chaos|bench|example|docs)\/[\w./-]*\w\b\/?/g))
        assert.ok(existsSync(join(root, path)), `${page} names ${path}`)
    }
  })

  it('links every page from the README', () => {
    const linked = new Set([...textOf('README.md').matchAll(/\]\(([^)#\s]+)/g)].map(([, path]) => path))
    for (const page of pages.keys()) if (/^docs\/[\w-]+\.md$/.test(page)) assert.ok(linked.has(page), `README.md does not link to ${page}`)
  })

  it('begins with a README of 130 lines at most', () => {
    for (const page of ['README.md', 'README.zh-TW.md']) {
      const lines = pages.get(page)?.trimEnd().split('\n').length ?? 0
      assert.ok(lines <= 130, `${page} has ${lines} lines`)
    }
  })

  it('has the same blocks in each language, except remarks', () => {
    for (const page of pages.keys()) {
      if (original(page) === page) continue
      assert.deepEqual(blocksOf(page).map(withoutRemarks), blocksOf(original(page)).map(withoutRemarks), page)
    }
  })

  it('quotes the measured figures', () => {
    const { rows } = JSON.parse(readFileSync(join(root, 'docs', 'benchmarks.json'), 'utf8')) as { rows: Measured[] }
    const late = rows.find((row) => row.scenario === 'lateness' && row.system === 'express-order-timers' && row.pending === 1_000_000)
    assert.ok(late?.latenessMs)
    const { p50, p99 } = late.latenessMs
    const [median, slowest] = [`${p50.toPrecision(2)} ms`, `${p99.toPrecision(2)} ms`]
    for (const page of ['README.md', 'README.zh-TW.md'].filter((page) => pages.has(page))) {
      const text = textOf(page)
      for (const figure of [median, slowest, '1,000,000']) assert.ok(text.includes(figure), `${page} does not say ${figure}`)
      for (const [figure] of text.matchAll(/\b\d+\.\d+ (ms|µs|%)/g)) assert.ok([median, slowest].includes(figure), `${page} says ${figure}`)
    }
    const measured = textOf('docs/benchmarks.md')
    const tables = textOf('docs/promises.md')
      .split('\n')
      .filter((line) => line.startsWith('|'))
    for (const line of tables)
      for (const [figure] of line.matchAll(/\b\d+(\.\d+)? (ms|%)|\b\d\d,\d{3}\b/g))
        assert.ok(measured.includes(figure) || figure === '250 ms', `docs/promises.md says ${figure}`)
  })
})

interface Measured {
  scenario: string
  system: string
  pending: number
  latenessMs?: { p50: number; p99: number }
}

/** The English page of which this one is a translation, or the page itself. */
function original(page: string): string {
  return page.replace(/^docs\/zh-TW\//, 'docs/').replace('README.zh-TW.md', 'README.md')
}

/** A page's text without its blocks. */
function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '')
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>()
  return [...prose(textOf(page)).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const plain = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase()
    const anchor = plain.replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

/** A block's code as it is in every language of the book: of drawings only that there is one. */
function withoutRemarks(block: Block): object {
  const { language, text } = block
  if (language === 'text') return { language }
  const remark = /(^|\s+)(\/\/|#|--) .*$/gm
  return { language, file: fileOf(block), text: text.replace(remark, '').replace(/\n+/g, '\n') }
}
