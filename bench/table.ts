// The results as tables: on a terminal and in Markdown, one for each scenario.
import Table from 'cli-table3'
import { columnsOf } from './columns.js'
import type { Row } from './row.js'
import { SCENARIOS } from './scenarios/index.js'

export function terminalTables(rows: Row[], coloured = process.stdout.isTTY): string {
  return perScenario(rows, (title, own) => {
    const columns = columnsOf(own)
    const table = new Table({
      head: columns.map((column) => column.title),
      colAligns: columns.map(({ number }) => (number ? 'right' : 'left')),
      style: { head: coloured ? ['bold'] : [], border: coloured ? ['gray'] : [], compact: true },
    })
    table.push(...own.map((row) => columns.map(({ cell }) => cell(row))))
    return `\n${title}\n${table.toString()}`
  })
}

export function markdownTables(rows: Row[]): string {
  return perScenario(rows, (title, own) => {
    const columns = columnsOf(own)
    const line = (cells: string[]) => `| ${cells.join(' | ')} |`
    const head = [line(columns.map((column) => column.title)), line(columns.map(({ number }) => (number ? '---:' : '---')))]
    const body = own.map((row) => line(columns.map(({ cell }) => cell(row))))
    return `### ${title}\n\n${[...head, ...body].join('\n')}\n`
  })
}

function perScenario(rows: Row[], show: (title: string, rows: Row[]) => string): string {
  return SCENARIOS.map(({ name, title }) => ({ title: `${name}: ${title}`, own: rows.filter(({ scenario }) => scenario === name) }))
    .filter(({ own }) => own.length > 0)
    .map(({ title, own }) => show(title, own))
    .join('\n')
}
