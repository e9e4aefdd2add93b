// `order-timers migration`.

import { migration } from '../../admin/migration.js'
import { migrationAsModule, migrationAsSql } from '../../admin/migration-text.js'
import { missingRows } from '../../admin/missing-rows.js'
import { type Command, MODULE_OPTION, OK } from '../command.js'
import { readPackage } from '../timers-module.js'

export const migrationCommand: Command = {
  usage: 'migration [--sql] [--trigger] [--kind KIND]…',
  help: 'prints the migration that the rules need, as a module for umzug and sequelize-cli or as SQL; runs nothing',
  example: 'order-timers migration --trigger > migrations/20270101000000-order-timers.js',
  options: { ...MODULE_OPTION, sql: { type: 'boolean' }, trigger: { type: 'boolean' }, kind: { type: 'string', multiple: true } },
  positionals: [],
  async run({ runtime, directory, values, print, remark }) {
    const made = migration(runtime, { kinds: values.kind as string[] | undefined, trigger: values.trigger === true })
    made.notes.push(...(await missingRows(runtime, made.kinds)))
    for (const note of made.notes) remark(note)
    const format = readPackage(directory).type === 'module' ? 'esm' : 'commonjs'
    print((values.sql ? migrationAsSql(made) : migrationAsModule(made, format)).trimEnd())
    return OK
  },
}
