// A migration as a file: plain SQL, or a JavaScript module for umzug and sequelize-cli. Both are one transaction. It waits at most 5 s for a lock,
// so that it does not hold up the shop.

import type { Migration } from './migration.js'

export type ModuleFormat = 'esm' | 'commonjs'

const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"

export function migrationAsSql({ kinds, up, down, notes }: Migration): string {
  if (up.length === 0) return nothing('--', kinds, notes)
  const lines = [
    ...header(kinds, notes).map((line) => `-- ${line}`),
    'BEGIN;',
    `${LOCK_TIMEOUT};`,
    ...up.map((sql) => `${sql};`),
    'COMMIT;',
    '',
    '-- To undo it, with all that was written there. It drops only what the above added:',
    ...['BEGIN', LOCK_TIMEOUT, ...down, 'COMMIT'].flatMap((sql) => `${sql};`.split('\n').map((line) => `-- ${line}`)),
  ]
  return `${lines.join('\n')}\n`
}

export function migrationAsModule({ kinds, up, down, notes }: Migration, format: ModuleFormat): string {
  if (up.length === 0) return nothing('//', kinds, notes)
  const where = format === 'esm' ? 'an ES module' : 'CommonJS'
  return `${[...header(kinds, notes), `For umzug and sequelize-cli, ${where}.`].map((line) => `// ${line}`).join('\n')}

const up = [
${up.map(literal).join('\n')}
]

// Takes it back, with all that was written there: drops what \`up\` added, and leaves what was there before.
const down = [
${down.map(literal).join('\n')}
]

// umzug hands over { context }, sequelize-cli the query interface itself.
async function run(given, statements) {
  const context = given.context ?? given
  const sequelize = context.sequelize ?? context
  await sequelize.transaction(async (transaction) => {
    await sequelize.query("${LOCK_TIMEOUT}", { transaction })
    for (const sql of statements) await sequelize.query(sql, { transaction })
  })
}

${format === 'esm' ? EXPORTS.esm : EXPORTS.commonjs}
`
}

const EXPORTS = {
  esm: `const migrateUp = (given) => run(given, up)
const migrateDown = (given) => run(given, down)
export { migrateDown as down, migrateUp as up }
export default { up: migrateUp, down: migrateDown }`,
  commonjs: `module.exports = { up: (given) => run(given, up), down: (given) => run(given, down) }`,
}

function header(kinds: readonly string[], notes: readonly string[]): string[] {
  return [
    `What the order timers' rules need: ${kinds.join(', ')}.`,
    'Printed by `order-timers migration`; nothing has been run. Running it twice is harmless.',
    'It waits 5 s at most for a lock, and changes nothing where it gets none. Building an index keeps writers waiting: on a large table in use',
    'build it first, by itself and outside a transaction, as CREATE INDEX CONCURRENTLY IF NOT EXISTS …; this then finds it there.',
    'What it adds has the comment "added by order-timers, …", and undoing it drops only what has that comment.',
    ...notes.flatMap((note) => note.split('\n')),
  ]
}

function nothing(comment: string, kinds: readonly string[], notes: readonly string[]): string {
  const lines = [`The order timers' rules (${kinds.join(', ')}) need no column, index or table.`, ...notes]
  return lines.map((line) => `${comment} ${line}\n`).join('')
}

function literal(sql: string): string {
  return `  \`${sql.replace(/[\\`]|\$\{/g, '\\$&')}\`,`
}
